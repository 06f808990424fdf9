"""Second derivatives, and derivatives in forward mode, of every cell and every `remat`."""

import keras
import numpy as np
import pytest
from gradients import compiled
from keras import ops
from matrix import CELLS, numbers

from lnn_keras import LiquidCell, LiquidRNN, LTCCell, NODECell
from lnn_keras.autodiff.functional import pure, weights_of
from lnn_keras.autodiff.linear_map import linear_map
from lnn_keras.autodiff.vjp import vjp

BACKEND = keras.backend.backend()
# Keras multiplies float64 matrices in float32 on the other backends.
DTYPE, TOLERANCE = ("float64", 1e-6) if BACKEND == "tensorflow" else ("float32", 1e-3)
ADJOINT = {
    "ltc-adjoint": lambda **k: LTCCell(3, unfolds=2, adjoint=True, **k),
    "node-dopri5-adjoint": lambda **k: NODECell(
        3, solver="dopri5", unfolds=1, max_steps=6, adjoint=True, **k
    ),
}
# Their adaptive loops take seconds.
SLOW = {"node-dopri5", "node-dopri5-adjoint", "ltc-adjoint"}
# The tolerance of dopri5 depends on the state, which its derivatives leave out.
FINITE = [name for name in CELLS if "dopri5" not in name]
# One of each way to a derivative: recomputed steps, snapshots, the batch last, constants for a
# fixed elapsed time, several states, and equations of exponential families.
KINDS = {"liquid", "liquid-adjoint", "ltc-ncp", "cfc", "mixed-ltc", "lef"}
MASK = np.array([[1, 1, 0], [0, 1, 1]], bool)
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="other backends have no jax.jvp")
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="tapes of TensorFlow")


def tensor(values):
    return ops.convert_to_tensor(np.asarray(values, DTYPE))


class Case:
    """A layer as a function of its inputs, elapsed times, first states and weights."""

    def __init__(self, cell, remat=None, mask=None, **options):
        random = np.random.default_rng(0)
        self.layer = LiquidRNN(cell, remat=remat, return_state=True, **options)
        self.layer.build((2, 3, 4))
        sizes = cell.state_size if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
        states = len(sizes)
        function = pure(
            self.layer,
            lambda x, elapsed, *h: self.layer(x, elapsed=elapsed, initial_state=list(h), mask=mask),
        )

        def outputs(x, elapsed, *rest):
            results = function(list(rest[states:]), x, elapsed, *rest[:states])
            return [sum(ops.sum(ops.square(result)) for result in results)]

        self.outputs = outputs
        self.arguments = [
            tensor(random.standard_normal((2, 3, 4))),
            tensor(random.uniform(0.3, 1.5, (2, 3, 1))),
            *(tensor(random.uniform(0.2, 0.8, (2, size))) for size in sizes),
            # Not at 0, where |w| has a kink.
            *(
                tensor(numbers(w) + 0.1 * random.standard_normal(w.shape))
                for w in weights_of(self.layer)
            ),
        ]

    def penalty(self, *arguments):
        """The sum of the squares of all gradients."""
        one = tensor(1.0)
        return [sum(ops.sum(g**2) for g in vjp(self.outputs, arguments, [one]))]

    def second(self):
        """The gradients of the penalty for all arguments."""
        function = compiled_on_jax(lambda *a: vjp(self.penalty, a, [tensor(1.0)]))
        if BACKEND == "torch":
            arguments = [a.detach().requires_grad_() for a in self.arguments]
            return [numbers(g.detach()) for g in vjp(self.penalty, arguments, [tensor(1.0)])]
        return [numbers(g) for g in function(*self.arguments)]


def compiled_on_jax(function):
    return compiled(function) if BACKEND == "jax" else function


def close(actual, expected, rtol):
    for a, b in zip(actual, expected, strict=True):
        assert np.abs(a - b).max() <= rtol * max(np.abs(b).max(), 1e-3)


def cases():
    for name in [*CELLS, *ADJOINT]:
        for remat in (1, 2):
            fast = (remat == 1 and name not in SLOW) or name == "liquid"
            yield pytest.param(name, remat, marks=() if fast else pytest.mark.slow)


@pytest.mark.parametrize(("name", "remat"), cases())
def test_second_derivatives_of_every_remat(name, remat):
    cell = {**CELLS, **ADJOINT}[name](dtype=DTYPE)
    expected = Case(cell, mask=MASK).second()
    close(Case(cell, remat, MASK).second(), expected, 1e-8 if DTYPE == "float64" else 1e-4)
    assert all(np.isfinite(values).all() for values in expected)


@pytest.mark.parametrize(
    "name",
    [
        # Several states take a second derivative of many steps.
        name if name in KINDS - {"mixed-ltc"} else pytest.param(name, marks=pytest.mark.slow)
        for name in FINITE
    ],
)
def test_second_derivatives_are_finite_differences(name):
    """Along a random direction of all arguments, elapsed times and states among them."""
    case = Case(CELLS[name](dtype=DTYPE), remat="auto")
    random = np.random.default_rng(1)
    directions = [random.standard_normal(np.shape(numbers(a))) for a in case.arguments]
    exact = sum((g * d).sum() for g, d in zip(case.second(), directions, strict=True))
    penalty, size = compiled_on_jax(case.penalty), 1e-4 if DTYPE == "float64" else 1e-2

    def at(length):
        moved = [numbers(a) + length * d for a, d in zip(case.arguments, directions, strict=True)]
        return float(numbers(penalty(*map(tensor, moved))[0]))

    # Fourth order, so that the step can be long against rounding.
    difference = (8 * (at(size) - at(-size)) - (at(2 * size) - at(-2 * size))) / (12 * size)
    assert abs(exact - difference) <= 10 * TOLERANCE * abs(difference)


def test_a_plain_adjoint_and_backpropagation_have_the_same_second_derivatives():
    plain = LiquidCell(3, unfolds=3, dtype=DTYPE)
    saving = LiquidCell(3, unfolds=3, adjoint=True, dtype=DTYPE)
    expected = Case(plain)
    ours = Case(saving)
    ours.arguments = expected.arguments
    close(ours.second(), expected.second(), 1e-8 if DTYPE == "float64" else 1e-4)


def test_keras_rnn_has_the_same_second_derivatives():
    """The case of a gradient penalty: d |dy/dx|^2 / dw."""
    cell = NODECell(3, unfolds=2)
    x = ops.convert_to_tensor(np.random.default_rng(0).standard_normal((2, 3, 4)), "float32")
    results = []
    for layer in (keras.layers.RNN(cell), LiquidRNN(cell)):
        layer.build(x.shape)
        function = pure(layer, layer.__call__)

        def penalty(*weights, function=function):
            of_x = vjp(lambda x: [function(list(weights), x)], [x], [ops.ones((2, 3))])
            return [ops.sum(of_x[0] ** 2)]

        weights = weights_of(layer)
        if BACKEND == "torch":
            weights = [weight.detach().requires_grad_() for weight in weights]
        results.append([ops.stop_gradient(g) for g in vjp(penalty, weights, [ops.ones(())])])
    close(*([numbers(g) for g in result] for result in results), 1e-5)


def test_third_derivatives():
    case = Case(LiquidCell(1, unfolds=1, dtype=DTYPE), remat=1)
    plain = Case(case.layer.cell, remat=None)

    def third(case):
        def cubed(*arguments):
            gradients = vjp(case.penalty, arguments, [tensor(1.0)])
            return [sum(ops.sum(g**2) for g in gradients)]

        arguments = case.arguments
        if BACKEND == "torch":
            arguments = [a.detach().requires_grad_() for a in arguments]
        function = compiled_on_jax(lambda *a: vjp(cubed, a, [tensor(1.0)]))
        return [numbers(ops.stop_gradient(g)) for g in function(*arguments)]

    close(third(case), third(plain), 1e-8 if DTYPE == "float64" else 1e-3)


def test_a_linear_map_and_its_transpose():
    matrix = np.arange(6.0).reshape(2, 3).astype("float32")
    x, u = ops.ones((3,)), ops.convert_to_tensor(np.array([1.0, -2.0], "float32"))

    def function(x):
        # The transpose is told by a factor of 10.
        apply = lambda x: ops.matmul(matrix, x)  # noqa: E731
        return [linear_map(apply, lambda u: 10 * ops.matmul(u, matrix), x)]

    (of_x,) = vjp(function, [x], [u])
    np.testing.assert_allclose(numbers(of_x), 10 * numbers(u) @ matrix)
    (again,) = vjp(lambda u: vjp(function, [x], [u]), [u], [x])
    np.testing.assert_allclose(numbers(again), matrix @ numbers(x))


@on_jax
@pytest.mark.parametrize("name", ["liquid", "ltc-ncp", "liquid-adjoint", "cfc"])
def test_forward_mode(name):
    import jax

    cell = CELLS[name]()
    case = Case(cell, remat=1, mask=MASK)
    x, *rest = case.arguments
    loss = lambda x: case.outputs(x, *rest)[0]  # noqa: E731
    gradient, tangent = jax.jit(lambda x: (jax.grad(loss)(x), jax.jvp(loss, (x,), (x,))[1]))(x)
    np.testing.assert_allclose(np.sum(gradient * x), tangent, rtol=1e-4)


@on_jax
@pytest.mark.parametrize("name", ["liquid", "liquid-adjoint"])
def test_hessians_in_all_modes(name):
    import jax

    case = Case(CELLS[name](), remat=1)
    x, dt, h, *weights = case.arguments
    loss = lambda h: case.outputs(x[:1], dt[:1], h, *weights)[0]  # noqa: E731
    hessians = jax.jit(lambda h: [jax.hessian(loss)(h), jax.jacrev(jax.grad(loss))(h)])(h[:1])
    np.testing.assert_allclose(*hessians, rtol=1e-4, atol=1e-5)
    assert np.abs(hessians[0]).max() > 1e-3


@on_tensorflow
def test_a_forward_accumulator():
    import tensorflow as tf

    case = Case(NODECell(3, unfolds=2, adjoint=True, dtype=DTYPE), remat=1)
    x, *rest = case.arguments
    with tf.autodiff.ForwardAccumulator(x, x) as accumulator:
        loss = case.outputs(x, *rest)[0]
    gradient = vjp(case.outputs, case.arguments, [tensor(1.0)])[0]
    np.testing.assert_allclose(accumulator.jvp(loss), np.sum(gradient * x), rtol=1e-8)


@on_tensorflow
@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_gradient_penalty_in_fit(jit_compile):
    """A train_step with nested tapes, in mixed precision, with and without remat."""
    import tensorflow as tf

    class Penalized(keras.Model):
        def __init__(self, remat):
            super().__init__()
            cell = NODECell(3, unfolds=1, dtype="mixed_float16")
            self.rnn = LiquidRNN(cell, remat=remat)

        def call(self, x):
            return ops.cast(self.rnn(x), "float32")

        def train_step(self, data):
            x, _ = data
            with tf.GradientTape() as outer:
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    y = self(x, training=True)
                slope = inner.gradient(y, x)
                loss = tf.reduce_mean(y**2) + tf.reduce_sum(slope**2)
            variables = self.trainable_variables
            self.optimizer.apply(outer.gradient(loss, variables), variables)
            return {"loss": loss}

    x, losses = np.random.default_rng(0).standard_normal((4, 2, 4)).astype("float32"), []
    for remat in (None, 1):
        keras.utils.set_random_seed(0)
        model = Penalized(remat)
        model.compile("sgd", jit_compile=jit_compile)
        # A first trace that creates variables would be followed by a second one.
        model(x)
        model.optimizer.build(model.trainable_variables)
        losses.append(model.fit(x, x[:, 0, :1], epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-2)
