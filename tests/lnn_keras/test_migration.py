"""Layers of ncps 1.0.1 that `from_ncps` converts have the same outputs."""

import keras
import numpy as np
import pytest
from matrix import numbers, same

from lnn_keras import from_ncps

ncps = pytest.importorskip("ncps")
ncps_keras = pytest.importorskip("ncps.keras")
STEPS, MANY_STEPS = 6, 50
WIRINGS = {
    "full": lambda: ncps.wirings.FullyConnected(8, 3),
    "random": lambda: ncps.wirings.Random(8, 3, sparsity_level=0.5),
    "ncp": lambda: ncps.wirings.NCP(6, 4, 3, 3, 2, 4, 2),
    "auto": lambda: ncps.wirings.AutoNCP(16, 3),
}
every_wiring = pytest.mark.parametrize("name", WIRINGS)
every_mode = pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])


@pytest.fixture
def x(random):
    return random.standard_normal((4, STEPS, 5)).astype("float32")


def built(layer, random, gain=1.0):
    """A layer with random weights, so that equal outputs imply equal equations."""
    layer.cell.build((None, 5))
    weights = layer.get_weights()
    layer.set_weights([gain * w * random.uniform(0.7, 1.3, w.shape) + 0.01 for w in weights])
    return layer


@every_wiring
def test_ltc(name, x, random):
    source = built(ncps_keras.LTC(WIRINGS[name](), return_sequences=True), random)
    same(from_ncps(source)(x), source(x), atol=1e-5)


@pytest.mark.slow
@every_wiring
def test_ltc_over_many_steps(name, random):
    x = random.standard_normal((4, MANY_STEPS, 5)).astype("float32")
    source = built(ncps_keras.LTC(WIRINGS[name](), return_sequences=True), random)
    same(from_ncps(source)(x), source(x), atol=1e-5)


@pytest.mark.parametrize("mapping", [None, "linear"])
def test_ltc_without_mappings(mapping, x, random):
    source = ncps_keras.LTC(WIRINGS["full"](), input_mapping=mapping, output_mapping=mapping)
    built(source, random)
    same(from_ncps(source)(x), source(x), atol=1e-5)


@every_mode
@pytest.mark.parametrize("backbone_layers", [0, 1, 2])
def test_cfc(mode, backbone_layers, x, random):
    source = ncps_keras.CfC(
        6, mode=mode, backbone_units=7, backbone_layers=backbone_layers, return_sequences=True
    )
    # Gains below 1, or float32 results drift apart in the modes with unbounded states.
    built(source, random, gain=0.5)
    same(from_ncps(source)(x), source(x), atol=1e-5)


@pytest.mark.slow
@every_mode
def test_cfc_over_many_steps(mode, random):
    x = random.standard_normal((4, MANY_STEPS, 5)).astype("float32")
    source = ncps_keras.CfC(6, mode=mode, backbone_units=7, return_sequences=True)
    built(source, random, gain=0.5)
    same(from_ncps(source)(x), source(x), atol=1e-5)


@every_mode
def test_wired_cfc(mode, x, random):
    source = built(ncps_keras.CfC(WIRINGS["auto"](), mode=mode, return_sequences=True), random, 0.5)
    # The layer of ncps fails on this version of Keras, so the test calls the cells of its layers.
    # ncps has no public name for them.
    cells = source.cell._cfc_layers
    ends = np.cumsum([cell.units for cell in cells])[:-1]
    states, expected = np.zeros((4, 16), "float32"), []
    for t in range(STEPS):
        inputs, new = x[:, t], []
        for cell, state in zip(cells, np.split(states, ends, axis=1), strict=True):
            inputs, _ = cell.call(inputs, [state])
            new.append(numbers(inputs))
        states = np.concatenate(new, axis=1)
        expected.append(new[-1])
    same(from_ncps(source)(x), np.stack(expected, axis=1), atol=1e-5)


def test_mixed_memory(x, random):
    source = ncps_keras.LTC(WIRINGS["full"](), mixed_memory=True, return_sequences=True)
    built(source, random)
    states = [np.zeros((4, 8), "float32")] * 2
    outputs = from_ncps(source)(x)
    for t in range(STEPS):
        expected, (memory, (state,)) = source.cell(x[:, t], states)
        states = [memory, state]
        same(outputs[:, t], expected, atol=1e-5)


def test_a_converted_layer_is_saved(x, random, tmp_path):
    source = built(ncps_keras.LTC(WIRINGS["auto"]()), random)
    model = keras.Sequential([keras.Input((None, 5)), from_ncps(source)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numbers(loaded(x)), numbers(model(x)))
    wiring = loaded.layers[0].cell.wiring
    assert wiring.layers == model.layers[0].cell.wiring.layers and len(wiring.layers) == 3
    assert "units=16, outputs=3" in repr(wiring)


def test_other_layers_are_refused():
    with pytest.raises(ValueError, match="received LSTM"):
        from_ncps(keras.layers.LSTM(3))
    with pytest.raises(ValueError, match="is not built"):
        from_ncps(ncps_keras.LTC(WIRINGS["full"]()))
