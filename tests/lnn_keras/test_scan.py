"""Rematerialization changes no result, and no layer is traced more often than necessary."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from gradients import gradients
from keras import ops
from matrix import CELLS, numbers

import lnn_keras
from lnn_keras import LiquidCell, LiquidRNN

MASK = np.array([[1] * 4, [0, 1, 0, 1], [1, 1, 0, 0]], bool)
# One step, steps that leave a remainder, all steps, and more steps than there are.
CHUNKS = (1, 3, 4, 6)
OPTIONS = [
    {"return_sequences": True, "go_backwards": True},
    {"return_sequences": True, "zero_output_for_mask": True},
    {"return_sequences": False, "zero_output_for_mask": True},
    {"return_sequences": False},
    {"return_sequences": True, "unroll": True},
]


@pytest.fixture
def x(random):
    return random.standard_normal((3, 4, 4)).astype("float32")


@pytest.fixture
def elapsed(random):
    return (random.random((3, 4)) * 2).astype("float32")


def outputs_and_gradients(layer, x, elapsed):
    """All outputs of a layer, and their gradients for inputs and weights."""
    inputs, outputs = keras.Variable(x), []

    def loss():
        outputs[:] = layer(inputs.value, elapsed=elapsed)
        return sum(ops.sum(ops.square(tensor)) for tensor in outputs)

    of_loss = gradients(loss, [inputs, *layer.trainable_variables])
    if keras.backend.backend() == "jax":
        # JAX has traced the loss, which leaves no values in `outputs`.
        outputs = layer(x, elapsed=elapsed)
    return [numbers(tensor) for tensor in outputs] + of_loss


@pytest.mark.parametrize(
    ("name", "chunks"),
    [
        ("liquid", CHUNKS),
        ("ltc-ncp", (1, 3)),
        *(
            pytest.param(name, CHUNKS, marks=pytest.mark.slow)
            for name in ("ltc-ncp", "cfc", "lef", "mixed-ltc")
        ),
    ],
)
def test_remat_changes_no_gradient(name, chunks, x, elapsed):
    full = LiquidRNN(CELLS[name](), remat=None, return_sequences=True, return_state=True)
    full.build(x.shape)
    expected = outputs_and_gradients(full, x, elapsed)
    for remat in chunks:
        layer = LiquidRNN(full.cell, remat=remat, return_sequences=True, return_state=True)
        layer.build(x.shape)
        for ours, theirs in zip(outputs_and_gradients(layer, x, elapsed), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["ltc-ncp", pytest.param("liquid", marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", OPTIONS)
def test_remat_with_every_option(options, name, x):
    full = LiquidRNN(CELLS[name](), remat=None, return_state=True, **options)
    expected = [numbers(tensor) for tensor in full(x, mask=MASK)]
    for remat in (1, 3):
        layer = LiquidRNN(full.cell, remat=remat, return_state=True, **options)
        for ours, theirs in zip(layer(x, mask=MASK), expected, strict=True):
            np.testing.assert_allclose(numbers(ours), theirs, rtol=1e-5, atol=1e-6)


def test_remat_is_saved_and_checked():
    layer = LiquidRNN(LiquidCell(3), remat=4)
    assert LiquidRNN.from_config(layer.get_config()).remat == 4
    for wrong in (0, -1, 1.5, "some"):
        with pytest.raises(ValueError, match="remat"):
            LiquidRNN(LiquidCell(3), remat=wrong)


def test_a_step_that_writes_to_variables_runs_once(x):
    """For instance a step that learns ranges of values; recomputing it would write twice."""

    class Counting(LiquidCell):
        def build(self, input_shape):
            super().build(input_shape)
            self.count = self.add_weight(
                name="count", shape=(), initializer="zeros", trainable=False
            )

        def advance(self, projected, states, elapsed, constants=None):
            self.count.assign_add(1.0)
            return super().advance(projected, states, elapsed, constants)

    layer = LiquidRNN(Counting(3), remat=3, unroll=True)
    layer(x)
    assert float(numbers(layer.cell.count)) == x.shape[1]


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_the_gradient_recomputes_steps(rate, x):
    """Also with dropout, though the seed of its masks is a variable that changes."""
    calls = []

    class Counted(LiquidCell):
        def advance(self, *args, **kwargs):
            calls.append(1)
            return super().advance(*args, **kwargs)

    counts = {}
    for remat in (None, 1):
        layer = LiquidRNN(Counted(3, dropout=rate, recurrent_dropout=rate), remat, unroll=True)
        layer.build(x.shape)
        calls.clear()
        loss = lambda layer=layer: ops.sum(layer(x, training=True))  # noqa: E731
        gradients(loss, layer.trainable_variables)
        counts[remat] = len(calls)
    # JAX traces a step that it recomputes once, whatever the number of steps.
    recomputed = 1 if keras.backend.backend() == "jax" else 2 * x.shape[1]
    assert counts == {None: x.shape[1], 1: recomputed}


def test_one_trace_per_shape(random):
    """Neither more epochs nor predictions trace again; a smaller last batch is one more shape."""
    traces = []

    class Traced(LiquidCell):
        def project(self, inputs):
            traces.append(inputs.shape)
            return super().project(inputs)

    x = random.standard_normal((5, 3, 4)).astype("float32")
    model = keras.Sequential([keras.Input((3, 4)), LiquidRNN(Traced(3, unfolds=1))])
    # TensorFlow traces without XLA too, which takes less time; JAX does not.
    model.compile("sgd", loss="mse", jit_compile=keras.backend.backend() == "jax")
    model.optimizer.build(model.trainable_variables)
    y = np.zeros((5, 3), "float32")
    model.fit(x, y, batch_size=3, verbose=0)
    model.predict(x, batch_size=3, verbose=0)
    if keras.backend.backend() == "torch":
        pytest.skip("torch does not trace")
    first = len(traces)
    assert first <= 8
    model.fit(x, y, batch_size=3, epochs=3, verbose=0)
    model.predict(x, batch_size=3, verbose=0)
    model.predict(x[:2], batch_size=3, verbose=0)
    assert len(traces) == first


def test_the_package_imports_only_keras_and_numpy():
    """Its import loads nothing that keras has not loaded, except its own modules."""
    # Keras imports these where they are installed; they take seconds.
    hidden = dict.fromkeys(("tensorflow", "sklearn", "matplotlib"))
    code = (
        f"import sys; sys.modules.update({hidden}); "
        "import keras, numpy; before = set(sys.modules); import lnn_keras; "
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "numpy"},
    )
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split()) - set(sys.stdlib_module_names)
    assert loaded == {"lnn_keras"} and lnn_keras.__version__
