"""The scan: keeping less changes no number, and nothing is traced more often than it must be."""

import keras
import numpy as np
import pytest
from gradients import gradients
from keras import ops
from matrix import CELLS, numbers

import lnn_keras
from lnn_keras import LiquidCell, LiquidRNN

MASK = np.array([[1] * 7, [0, 1, 1, 0, 1, 0, 1], [1, 1, 1, 0, 0, 0, 0]], bool)


def results(layer, x, elapsed=None, mask=None):
    """What a layer returns, and the gradients of it for inputs and weights."""
    inputs = keras.Variable(x)

    def loss():
        found = layer(inputs.value, elapsed=elapsed, mask=mask)
        return sum(ops.sum(ops.square(tensor)) for tensor in found)

    returned = [numbers(tensor) for tensor in layer(x, elapsed=elapsed, mask=mask)]
    return returned + gradients(loss, [inputs, *layer.trainable_variables])


@pytest.mark.parametrize("name", ["liquid", "ltc-ncp", "cfc", "lef", "mixed-ltc"])
def test_keeping_less_changes_no_number(name, x, elapsed):
    """Pieces that divide the length, that do not, and that are longer than it."""
    whole = LiquidRNN(CELLS[name](), remat=None, return_sequences=True, return_state=True)
    expected = results(whole, x, elapsed)
    for remat in (1, 3, 7, 9):
        layer = LiquidRNN(CELLS[name](), remat=remat, return_sequences=True, return_state=True)
        layer.build(x.shape)
        layer.set_weights(whole.get_weights())
        for ours, theirs in zip(results(layer, x, elapsed), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["liquid", "ltc-ncp"])
@pytest.mark.parametrize(
    "options",
    [
        {"return_sequences": True, "go_backwards": True},
        {"return_sequences": True, "zero_output_for_mask": True},
        {"return_sequences": False, "zero_output_for_mask": True},
        {"return_sequences": False},
        {"return_sequences": True, "unroll": True},
    ],
)
def test_keeping_less_with_every_option(options, name, x):
    whole = LiquidRNN(CELLS[name](), remat=None, return_state=True, **options)
    expected = [numbers(tensor) for tensor in whole(x, mask=MASK)]
    for remat in (1, 3):
        layer = LiquidRNN(whole.cell, remat=remat, return_state=True, **options)
        for ours, theirs in zip(layer(x, mask=MASK), expected, strict=True):
            np.testing.assert_allclose(numbers(ours), theirs, rtol=1e-5, atol=1e-6)


def test_what_is_kept_is_saved_with_the_layer():
    layer = LiquidRNN(LiquidCell(3), remat=4)
    assert LiquidRNN.from_config(layer.get_config()).remat == 4
    for wrong in (0, -1, 1.5, "some"):
        with pytest.raises(ValueError, match="remat"):
            LiquidRNN(LiquidCell(3), remat=wrong)


def test_a_step_that_writes_is_computed_once(x):
    """Steps that count themselves, as those that learn ranges do."""

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


def test_one_trace_for_each_shape(random):
    """Neither epochs nor predictions trace again; an odd last batch is one shape more."""
    traces = []

    class Traced(LiquidCell):
        def project(self, inputs):
            traces.append(inputs.shape)
            return super().project(inputs)

    x = random.standard_normal((20, 6, 4)).astype("float32")
    model = keras.Sequential([keras.Input((6, 4)), LiquidRNN(Traced(3))])
    model.compile("sgd", loss="mse", jit_compile=keras.backend.backend() != "torch")
    y = np.zeros((20, 3), "float32")
    model.fit(x, y, batch_size=8, verbose=0)
    model.predict(x, batch_size=8, verbose=0)
    if keras.backend.backend() == "torch":
        pytest.skip("torch runs each batch as it comes")
    first = len(traces)
    assert first <= 8
    model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    model.predict(x, batch_size=8, verbose=0)
    model.predict(x[:4], batch_size=8, verbose=0)
    assert len(traces) == first


def test_package_imports_keras_and_numpy_alone():
    """Importing it costs nothing beyond keras: no module that keras has not imported."""
    import subprocess
    import sys

    code = (
        "import sys, keras, numpy; before = set(sys.modules); import lnn_keras; "
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    own = set(found.stdout.split()) - set(sys.stdlib_module_names)
    assert own == {"lnn_keras"} and lnn_keras.__version__
