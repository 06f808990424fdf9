"""Bugs of ncps 1.0.1 on Keras 3, the best-known package with these cells, that lnn_keras avoids.

Each docstring states the bug in ncps. Two more are tested elsewhere: an elapsed time of 0 that is
replaced by 1 (test_elapsed.py), and dense weights for sparse wirings (test_wirings.py).
"""

import re
import textwrap

import keras
import numpy as np
import pytest
from gradients import compiled
from matrix import numbers, same

import lnn_keras
from lnn_keras import LiquidCell, LiquidRNN, LTCCell, MixedMemoryCell
from lnn_keras.wirings import Adjacency, AutoNCP, Random


def test_a_layer_takes_elapsed_times(x, elapsed):
    """`layer((x, t))` fails for batches above 1."""
    layer = LiquidRNN(LiquidCell(5))
    timed = numbers(layer(x, elapsed=elapsed))
    assert np.isfinite(timed).all()
    assert np.abs(timed - numbers(layer(x))).max() > 1e-3


def test_elapsed_time_of_each_sample_is_broadcast(x, elapsed, random):
    """Elapsed times (batch,) are multiplied with states (batch, units) without a new axis."""
    cell, h = LiquidCell(3), random.standard_normal((3, 3))
    expected = cell(x[:, 0], [h], elapsed=elapsed[:, :1])[0]
    same(cell(x[:, 0], [h], elapsed=elapsed[:, 0])[0], expected)


def test_a_loaded_cell_has_a_wiring():
    """`from_config` leaves the wiring as a dict."""
    config = keras.saving.serialize_keras_object(LTCCell(AutoNCP(8, outputs=2)))
    assert isinstance(keras.saving.deserialize_keras_object(config).wiring, AutoNCP)


def test_a_config_holds_every_argument():
    """`get_config` omits the initialization ranges and the bias of the forget gate."""
    ones = keras.initializers.Constant(1.5)
    cell = MixedMemoryCell(LiquidCell(3, tau_initializer=ones), forget_bias=2.5)
    copy = MixedMemoryCell.from_config(cell.get_config())
    assert copy.forget_bias == 2.5
    copy.build((None, 4))
    np.testing.assert_allclose(numbers(copy.cell.tau), 1.5, rtol=1e-6)


def test_building_twice_adds_no_synapse():
    """Each layer that is built with a wiring adds synapses to it."""
    wiring = AutoNCP(16, outputs=3)
    counts = []
    for _ in range(2):
        cell = LTCCell(wiring)
        cell.build((None, 4))
        counts.append(cell.count_params())
    assert counts[0] == counts[1]


def test_reading_a_config_changes_no_synapse():
    """The `get_config` of a wiring advances its random state."""
    read, unread = Random(9, sparsity=0.5), Random(9, sparsity=0.5)
    read.get_config()
    np.testing.assert_array_equal(read.connect(4).recurrent, unread.connect(4).recurrent)


@pytest.mark.parametrize("dtype", ["mixed_float16", "float64"])
def test_other_dtypes_run(dtype, x):
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX computes in float32 by default")
    layer = LiquidRNN(LTCCell(AutoNCP(8, outputs=2), unfolds=1, dtype=dtype), dtype=dtype)
    assert keras.backend.standardize_dtype(layer(x).dtype) == dtype.removeprefix("mixed_")


def test_a_layer_runs_compiled_and_then_eagerly(x):
    """Masks that `build` creates belong to the graph in which it ran."""
    layer = LiquidRNN(LTCCell(AutoNCP(8, outputs=2), unfolds=1))
    layer(keras.Input((7, 4)))
    expected = compiled(lambda x: layer(x))(keras.ops.convert_to_tensor(x))
    same(layer(x), expected)


def test_an_inhibitory_synapse_inhibits():
    """The signed adjacency matrix multiplies the conductances like a mask."""
    outputs = []
    for sign in (1, -1):
        cell = LTCCell(Adjacency(recurrent=[[0]], sensory=[[sign]] * 4))
        cell.build((None, 4))
        # Conductances are positive; the sign is in the reversal potential.
        weights = {v.name: numbers(v) for v in cell.weights}
        assert (weights["sensory_weight"] > 0).all()
        assert (np.sign(weights["sensory_reversal"]) == sign).all()
        cell.leak.assign([0.0])
        outputs.append(numbers(cell(np.full((1, 4), 3.0, "float32"), [np.zeros((1, 1))])[0]))
    assert outputs[0] > 0 > outputs[1]


def documented_examples():
    """The examples in the docstrings of all public classes."""
    modules = (lnn_keras, lnn_keras.adapt, lnn_keras.wirings, lnn_keras.families)
    named = {name: value for module in modules for name, value in vars(module).items()}.items()
    for name, value in named:
        text = getattr(value, "__doc__", None) if isinstance(value, type) else None
        for code in re.findall(r"```python\n(.*?)```", text or "", re.DOTALL):
            yield pytest.param(textwrap.dedent(code), id=name)


@pytest.mark.parametrize("code", documented_examples())
def test_examples_of_docstrings_run(code, x, elapsed):
    """The example in the docstring fails."""
    x, elapsed = x[:, :2], elapsed[:, :2]
    names = {"keras": keras, "lnn_keras": lnn_keras, "x": x, "elapsed": elapsed}
    exec(code, names)
    if "layer" in names:
        assert np.isfinite(numbers(names["layer"](x))).all()
