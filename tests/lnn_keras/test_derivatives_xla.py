"""Second gradients that XLA compiles, and forward mode around compiled functions (TensorFlow)."""

import keras
import numpy as np
import pytest
from matrix import numbers

from lnn_keras import CfCCell, LiquidRNN, LTCCell, MixedMemoryCell, NODECell
from lnn_keras.autodiff.transposition import transposed
from lnn_keras.wirings import Random

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")

CELLS = {
    "ltc": lambda: LTCCell(3, unfolds=1),
    "ltc-sparse": lambda: LTCCell(Random(4, outputs=2, sparsity=0.5), unfolds=1),
    "ltc-adjoint": lambda: LTCCell(3, unfolds=1, adjoint=True),
    "mixed-ltc": lambda: MixedMemoryCell(LTCCell(3, unfolds=1)),
    "cfc": lambda: CfCCell(3, backbone_layers=0),
}
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((2, 4, 2)).astype("float32")
ELAPSED = RANDOM.uniform(0.3, 1.5, (2, 4, 1)).astype("float32")
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 1]], bool)


def built(cell, layer=LiquidRNN, **options):
    keras.utils.set_random_seed(0)
    layer = layer(cell, **options)
    layer.build((None, None, 2))
    return layer


def penalty_gradients(call, x, elapsed, variables):
    """The gradients of a gradient penalty."""
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch([x, elapsed])
            loss = tf.reduce_sum(call(x, elapsed) ** 2)
        gradients = inner.gradient(loss, [x, elapsed], unconnected_gradients="zero")
        penalty = sum(tf.reduce_sum(gradient**2) for gradient in gradients)
    return outer.gradient(penalty, variables, unconnected_gradients="zero")


def require_equal_under_xla(layer, call, shape=(2, 4)):
    """XLA's second gradients are those of eager TensorFlow."""
    variables = [variable.value for variable in layer.trainable_variables]
    signature = [tf.TensorSpec((*shape, size)) for size in (2, 1)]
    function = tf.function(
        lambda x, elapsed: penalty_gradients(call, x, elapsed, variables),
        input_signature=signature,
        jit_compile=True,
    )
    inputs = tf.constant(X), tf.constant(ELAPSED)
    expected = penalty_gradients(call, *inputs, variables)
    assert max(np.abs(numbers(gradient)).max() for gradient in expected) > 1e-3
    for gradient, right in zip(function(*inputs), expected, strict=True):
        scale = max(np.abs(numbers(right)).max(), 1e-3)
        assert np.abs(numbers(gradient - right)).max() <= 1e-4 * scale


# XLA needs seconds to compile one. The fast tests below show the mechanism.
@pytest.mark.slow
@pytest.mark.parametrize("remat", [None, 1, 2])
@pytest.mark.parametrize("name", CELLS)
def test_second_gradients_under_xla(name, remat):
    layer = built(CELLS[name](), remat=remat)
    require_equal_under_xla(layer, lambda x, elapsed: layer(x, elapsed=elapsed))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ltc", "ltc-sparse", "mixed-ltc"])
def test_of_unknown_batch_and_length_with_a_mask(name):
    layer = built(CELLS[name](), return_sequences=True)
    call = lambda x, elapsed: layer(x, elapsed=elapsed, mask=MASK)  # noqa: E731
    require_equal_under_xla(layer, call, shape=(None, None))


@pytest.mark.slow
def test_of_keras_rnn():
    layer = built(LTCCell(3, unfolds=1), keras.layers.RNN)
    require_equal_under_xla(layer, lambda x, elapsed: layer(x * elapsed))


def currents(h):
    """A step with the synapses of a cell by their edge list."""
    return LAYER.cell.recurrent.currents(h)[0]


LAYER = built(CELLS["ltc"]()) if keras.backend.backend() == "tensorflow" else None


@pytest.mark.parametrize("step", [lambda h: transposed(tf.tanh(transposed(h))), currents])
def test_second_gradients_of_a_loop_under_xla(step):
    def loop(h):
        return tf.while_loop(
            lambda i, h: i < 3, lambda i, h: (i + 1, step(h)), (0, h), maximum_iterations=3
        )

    def second(h):
        (first,) = tf.gradients(tf.reduce_sum(loop(h)[1] ** 2), h)
        return tf.gradients(tf.reduce_sum(first**2), h)[0]

    h = tf.constant(X[:, :3, 0])
    compiled, plain = (tf.function(second, jit_compile=jit)(h) for jit in (True, False))
    assert np.abs(numbers(plain)).max() > 1e-6
    np.testing.assert_allclose(compiled, plain, rtol=1e-3, atol=1e-7)


def test_the_gradient_of_a_transposition_needs_no_tensor_of_axes():
    """Otherwise the derivative of a loop stores the axes, which XLA refuses."""
    graph = tf.function(lambda x: tf.gradients(transposed(x) ** 2, x)).get_concrete_function(
        tf.TensorSpec((None, 3))
    )
    axes = [op.inputs[1].op.type for op in graph.graph.get_operations() if op.type == "Transpose"]
    assert axes and set(axes) == {"Const"}


def test_the_synapses_of_a_batch_of_unknown_size():
    """The maps of the gather share no tensor, which would belong to one graph only."""
    cell = LTCCell(Random(4, outputs=2, sparsity=0.5), unfolds=1)
    layer = built(cell, remat=None)
    variables = [variable.value for variable in layer.trainable_variables]
    call = lambda x, elapsed: layer(x, elapsed=elapsed)  # noqa: E731
    function = tf.function(
        lambda x, elapsed: penalty_gradients(call, x, elapsed, variables),
        input_signature=[tf.TensorSpec((None, 4, size)) for size in (2, 1)],
    )
    inputs = tf.constant(X), tf.constant(ELAPSED)
    expected = penalty_gradients(call, *inputs, variables)
    for gradient, right in zip(function(*inputs), expected, strict=True):
        np.testing.assert_allclose(gradient, right, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("adjoint", [False, True])
def test_a_forward_accumulator_around_a_compiled_function(adjoint):
    """TensorFlow transposes the gradient of the function there."""
    layer = built(NODECell(3, unfolds=1, adjoint=adjoint))
    x = tf.constant(X)
    with tf.autodiff.ForwardAccumulator(x, x) as accumulator:
        results = tf.function(lambda x: layer(x))(x)
    with tf.autodiff.ForwardAccumulator(x, x) as eager:
        expected = layer(x)
    assert np.abs(numbers(eager.jvp(expected))).max() > 1e-3
    np.testing.assert_allclose(accumulator.jvp(results), eager.jvp(expected), rtol=1e-5)
