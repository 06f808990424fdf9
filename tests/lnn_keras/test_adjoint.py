"""Gradients from snapshots are those of backpropagation, in memory that does not grow."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from gradients import gradients
from keras import ops

from lnn_keras import CTRNNCell, LiquidCell, LiquidRNN, LTCCell, MixedMemoryCell, NODECell
from lnn_keras.autodiff.vjp import vjp
from lnn_keras.solvers import SOLVERS, STEPS, FixedSteps, adjoint

BACKEND = keras.backend.backend()
# torch.compile does not take custom gradients in loops; JAX without a compiler is for debugging.
JIT_COMPILE = {"tensorflow": (False, True), "jax": (True, True), "torch": (False, False)}[BACKEND]


def built(cell_class, weights=None, **kwargs):
    cell = cell_class(5, **kwargs)
    cell.build((None, 3))
    if weights:
        cell.set_weights(weights)
    return cell


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()


@pytest.mark.parametrize("cell_class", [LiquidCell, LTCCell, NODECell, CTRNNCell])
@pytest.mark.parametrize("solver", SOLVERS)
def test_gradients_of_weights(cell_class, solver, random):
    x, h = random.standard_normal((4, 3)), random.standard_normal((4, 5))
    elapsed = random.random((4, 1)).astype("float32") * 2
    elapsed[0] = 0
    # More steps than snapshots, so that states are computed again.
    unfolds = 6 if solver == "dopri5" else 40
    plain = built(cell_class, solver=solver, unfolds=unfolds, max_steps=64)
    saving = built(
        cell_class, plain.get_weights(), solver=solver, unfolds=unfolds, max_steps=64, adjoint=True
    )
    outputs, found = [], []
    for cell in (plain, saving):
        outputs.append(ops.convert_to_numpy(cell(x, [h], elapsed=elapsed)[0]))
        loss = lambda cell=cell: ops.sum(cell(x, [h], elapsed=elapsed)[0] ** 2)  # noqa: E731
        found.append(gradients(loss, cell.trainable_variables))
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-6)
    assert_same(found[1], found[0])


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
    found = []
    for cell in (plain, saving):
        call = lambda x, h, elapsed, cell=cell: [cell(x, [h], elapsed=elapsed)[0]]  # noqa: E731
        gradient = vjp(call, tensors, [ops.ones((4, 5))])
        found.append([ops.convert_to_numpy(tensor) for tensor in gradient])
    assert_same(found[1], found[0])
    assert np.abs(found[0][2]).min() > 1e-4


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 150])
def test_every_number_of_steps(count):
    """h <- h + delta a h, so that the gradient of h after n steps is (1 + delta a)^n."""
    one, elapsed = ops.ones((2, 1)), ops.ones((2, 1))

    def field(arguments):
        return lambda h, delta: (delta * arguments[0] * h, 0.0)

    def solved(h, rate):
        return [adjoint.solve(FixedSteps(STEPS["euler"], count), field, h, elapsed, [rate])]

    of_h, of_rate = vjp(solved, [one, 0.3 * one], [one])
    growth = 1 + 0.3 / count
    np.testing.assert_allclose(ops.convert_to_numpy(of_h), growth**count, rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(of_rate), growth ** (count - 1), rtol=1e-5)


@pytest.mark.parametrize(
    ("solver", "jit_compile", "dtype"),
    [
        ("semi_implicit", JIT_COMPILE[0], "mixed_float16"),
        ("semi_implicit", JIT_COMPILE[1], "float32"),
        ("dopri5", JIT_COMPILE[0], "float32"),
        # XLA compiles loops within loops for a minute.
        pytest.param("dopri5", JIT_COMPILE[1], "mixed_float16", marks=pytest.mark.slow),
    ],
)
def test_training_is_the_same(solver, jit_compile, dtype, random):
    x = random.standard_normal((8, 6, 3)).astype("float32")
    elapsed = random.random((8, 6)).astype("float32")
    losses = []
    for adjoint_gradients in (False, True):
        keras.utils.set_random_seed(1)
        options = {"solver": solver, "adjoint": adjoint_gradients, "max_steps": 16, "dtype": dtype}
        cell = MixedMemoryCell(NODECell(5, **options))
        inputs, times = keras.Input((6, 3)), keras.Input((6,))
        model = keras.Model([inputs, times], LiquidRNN(cell)(inputs, elapsed=times))
        model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
        target = np.ones((8, 5), "float32")
        losses.append(model.fit([x, elapsed], target, epochs=4, verbose=0).history["loss"])
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4 if dtype == "float32" else 1e-2)


@pytest.mark.skipif(BACKEND == "torch", reason="memory of torch is its own")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_steps():
    command = [sys.executable, "-m", "benchmarks.memory", "--adjoint", "--steps"]
    runs = [
        subprocess.Popen([*command, steps], stdout=subprocess.PIPE, text=True)
        for steps in ("64", "1024")
    ]
    few, many = (float(run.communicate()[0]) for run in runs)
    assert many <= 1.2 * few
