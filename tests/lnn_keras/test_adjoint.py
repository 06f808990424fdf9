"""Gradients from snapshots are those of backpropagation, in memory that does not grow."""

import collections
import subprocess
import sys

import keras
import numpy as np
import pytest
from gradients import compiled, gradients
from keras import ops

from lnn_keras import CTRNNCell, LiquidCell, LiquidRNN, LTCCell, MixedMemoryCell, NODECell
from lnn_keras.autodiff.vjp import vjp
from lnn_keras.solvers import SOLVERS, FixedSteps, adjoint, euler

BACKEND = keras.backend.backend()
# torch.compile does not take custom gradients in loops; JAX without a compiler is for debugging.
JIT_COMPILE = {"tensorflow": (False, True), "jax": (True, True), "torch": (False, False)}[BACKEND]


def built(cell_class, weights=None, **kwargs):
    cell = cell_class(5, **kwargs)
    cell.build((None, 3))
    if weights:
        cell.set_weights(weights)
    return cell


def assert_same(results, expected):
    for a, b in zip(results, expected, strict=True):
        assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()


@pytest.mark.parametrize(
    ("cell_class", "solver"),
    [
        pytest.param(
            cell_class,
            solver,
            # Cells differ in their equations, solvers in their steps.
            marks=() if cell_class is LiquidCell or solver == "semi_implicit" else pytest.mark.slow,
        )
        for cell_class in (LiquidCell, LTCCell, NODECell, CTRNNCell)
        for solver in SOLVERS
    ],
)
def test_gradients_of_weights(cell_class, solver, random):
    x, h = random.standard_normal((4, 3)), random.standard_normal((4, 5))
    elapsed = random.random((4, 1)).astype("float32") * 2
    elapsed[0] = 0
    # More steps than snapshots, so that states are recomputed.
    options = {"solver": solver, "unfolds": 6 if solver == "dopri5" else 18, "max_steps": 32}
    plain = built(cell_class, **options)
    saving = built(cell_class, plain.get_weights(), adjoint=True, **options)
    results = []
    for cell in (plain, saving):
        outputs = []

        def loss(cell=cell, outputs=outputs):
            outputs[:] = [cell(x, [h], elapsed=elapsed)[0]]
            return ops.sum(outputs[0] ** 2)

        of_loss = gradients(loss, cell.trainable_variables)
        if BACKEND == "jax":
            # JAX has traced the loss, which leaves no values in `outputs`.
            loss()
        results.append([ops.convert_to_numpy(outputs[0]), *of_loss])
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-6)
    assert_same(results[1][1:], results[0][1:])


@pytest.mark.parametrize("solver", ["semi_implicit", "dopri5"])
def test_gradients_of_inputs_state_and_elapsed_time(solver, random):
    tensors = [
        ops.convert_to_tensor(values.astype("float32"))
        for values in (
            random.standard_normal((4, 3)),
            random.standard_normal((4, 5)),
            random.random((4, 1)) + 0.1,
        )
    ]
    plain = built(LiquidCell, solver=solver)
    saving = built(LiquidCell, plain.get_weights(), solver=solver, adjoint=True)
    results = []
    for cell in (plain, saving):
        call = lambda x, h, elapsed, cell=cell: [cell(x, [h], elapsed=elapsed)[0]]  # noqa: E731
        gradient = vjp(call, tensors, [ops.ones((4, 5))])
        results.append([ops.convert_to_numpy(tensor) for tensor in gradient])
    assert_same(results[1], results[0])
    assert np.abs(results[0][2]).min() > 1e-4


@pytest.mark.parametrize("count", [1, 16, 17, 70])
def test_fewer_and_more_steps_than_snapshots(count):
    """h <- h + delta a h, so that the gradient of h after n steps is (1 + delta a)^n."""
    one, elapsed = ops.ones((2, 1)), ops.ones((2, 1))

    def field(arguments):
        return lambda h, delta: (delta * arguments[0] * h, 0.0)

    def solved(h, rate):
        method = FixedSteps(euler, count)
        return [adjoint.solve_with_snapshots(method, field, h, elapsed, [rate])]

    of_h, of_rate = compiled(lambda one: vjp(solved, [one, 0.3 * one], [one]))(one)
    growth = 1 + 0.3 / count
    np.testing.assert_allclose(ops.convert_to_numpy(of_h), growth**count, rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(of_rate), growth ** (count - 1), rtol=1e-5)


def test_layers_in_one_graph(random):
    """LiquidRNN recomputes the steps of a NODECell, whose adjoint recomputes solver steps."""
    x = ops.convert_to_tensor(random.standard_normal((8, 3, 3)).astype("float32"))
    plain = built(NODECell, unfolds=2, dtype="mixed_float16")
    saving = built(NODECell, plain.get_weights(), unfolds=2, dtype="mixed_float16", adjoint=True)
    results = []
    for cell in (plain, saving):
        layer = LiquidRNN(cell)
        layer.build(x.shape)
        gradient = compiled(
            lambda x, layer=layer: vjp(
                lambda x: [layer(x)], [x], [ops.ones((8, 5), dtype="float16")]
            )[0]
        )
        results.append(ops.convert_to_numpy(gradient(x)))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-2, atol=1e-3)


# XLA takes up to a minute to compile loops within loops.
@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [NODECell, lambda *args, **k: MixedMemoryCell(NODECell(*args, **k))]
)
@pytest.mark.parametrize(
    ("solver", "jit_compile", "dtype"),
    [
        ("semi_implicit", JIT_COMPILE[0], "mixed_float16"),
        ("semi_implicit", JIT_COMPILE[1], "float32"),
        ("dopri5", JIT_COMPILE[0], "float32"),
        ("dopri5", JIT_COMPILE[1], "mixed_float16"),
    ],
)
def test_training_is_the_same(solver, jit_compile, dtype, make, random):
    x = random.standard_normal((8, 6, 3)).astype("float32")
    elapsed = random.random((8, 6)).astype("float32")
    losses = []
    for adjoint_gradients in (False, True):
        keras.utils.set_random_seed(1)
        options = {"solver": solver, "adjoint": adjoint_gradients, "max_steps": 16, "dtype": dtype}
        inputs, times = keras.Input((6, 3)), keras.Input((6,))
        model = keras.Model([inputs, times], LiquidRNN(make(5, **options))(inputs, elapsed=times))
        model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
        target = np.ones((8, 5), "float32")
        losses.append(model.fit([x, elapsed], target, epochs=4, verbose=0).history["loss"])
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4 if dtype == "float32" else 1e-2)


def gradient_of_state(steps, adjoint):
    """A function (x, h) -> gradient of h, of one call of a cell with so many solver steps."""
    cell = built(LiquidCell, unfolds=steps, adjoint=adjoint)
    return lambda x, h: vjp(lambda h: [cell(x, [h])[0]], [h], [ops.ones_like(h)])[0]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="JAX compiles all tests; torch has no XLA")
def test_xla_compiles_the_gradient():
    """As a training with `jit_compile=True` does, here of one step of one cell."""
    import tensorflow as tf

    x, h = ops.ones((2, 3)), ops.ones((2, 5))
    keras.utils.set_random_seed(1)
    expected = gradient_of_state(2, False)(x, h)
    keras.utils.set_random_seed(1)
    gradient = tf.function(gradient_of_state(2, True), jit_compile=True)(x, h)
    np.testing.assert_allclose(
        ops.convert_to_numpy(gradient), ops.convert_to_numpy(expected), rtol=1e-5
    )


@pytest.mark.skipif(BACKEND != "tensorflow", reason="reads graphs of TensorFlow")
def test_the_graph_does_not_grow_with_the_steps():
    """Graphs of 20 and 1,000 steps have the same operations, and no loop stacks its values."""
    import tensorflow as tf

    def operations(steps, adjoint):
        function = tf.function(gradient_of_state(steps, adjoint))
        graph = function.get_concrete_function(ops.ones((2, 3)), ops.ones((2, 5))).graph
        definition = graph.as_graph_def()
        bodies = [definition.node, *(body.node_def for body in definition.library.function)]
        return collections.Counter(node.op for body in bodies for node in body)

    few, many = operations(20, True), operations(1000, True)
    assert few == many
    assert not [name for name in many if "TensorList" in name or "Stack" in name]
    assert operations(2, False).total() < operations(4, False).total()


@pytest.mark.skipif(BACKEND != "jax", reason="reads programs of JAX")
def test_the_compiled_program_does_not_grow_with_the_steps():
    import jax

    def size(steps):
        lowered = jax.jit(gradient_of_state(steps, True)).lower(ops.ones((2, 3)), ops.ones((2, 5)))
        return lowered.compile().memory_analysis().temp_size_in_bytes

    assert size(1000) <= 1.2 * size(20)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="torch keeps the memory that it frees")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_steps():
    command = [sys.executable, "-m", "benchmarks.memory", "--adjoint", "--steps"]
    runs = [
        subprocess.Popen([*command, steps], stdout=subprocess.PIPE, text=True)
        for steps in ("64", "1024")
    ]
    few, many = (float(run.communicate()[0]) for run in runs)
    assert many <= 1.2 * few
