"""Layers of ncps 1.0.1 become ours, with the same numbers."""

import keras
import numpy as np
import pytest
from matrix import numbers, same

from lnn_keras import from_ncps

ncps = pytest.importorskip("ncps")
peer = pytest.importorskip("ncps.keras")
STEPS = 50
WIRINGS = {
    "full": lambda: ncps.wirings.FullyConnected(8, 3),
    "random": lambda: ncps.wirings.Random(8, 3, sparsity_level=0.5),
    "ncp": lambda: ncps.wirings.NCP(6, 4, 3, 3, 2, 4, 2),
    "auto": lambda: ncps.wirings.AutoNCP(16, 3),
}
every_mode = pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])


@pytest.fixture
def x(random):
    return random.standard_normal((4, STEPS, 5)).astype("float32")


def scrambled(layer, random, gain=1.0):
    """Weights that are nowhere special, so that equal numbers mean equal equations."""
    weights = layer.get_weights()
    layer.set_weights([gain * w * random.uniform(0.7, 1.3, w.shape) + 0.01 for w in weights])
    return layer


@pytest.mark.parametrize("name", WIRINGS)
def test_ltc(name, x, random):
    theirs = peer.LTC(WIRINGS[name](), return_sequences=True)
    theirs(x)
    ours = from_ncps(scrambled(theirs, random))
    same(ours(x), theirs(x), atol=1e-5)


@pytest.mark.parametrize("mapping", [None, "linear"])
def test_ltc_without_mappings(mapping, x, random):
    theirs = peer.LTC(WIRINGS["full"](), input_mapping=mapping, output_mapping=mapping)
    theirs(x)
    same(from_ncps(scrambled(theirs, random))(x), theirs(x), atol=1e-5)


@every_mode
@pytest.mark.parametrize("backbone_layers", [0, 1, 2])
def test_cfc(mode, backbone_layers, x, random):
    theirs = peer.CfC(
        6, mode=mode, backbone_units=7, backbone_layers=backbone_layers, return_sequences=True
    )
    theirs(x)
    # Gains below 1, or two runs in float32 drift apart in the modes without bounds.
    ours = from_ncps(scrambled(theirs, random, gain=0.5))
    same(ours(x), theirs(x), atol=1e-5)


@every_mode
def test_wired_cfc(mode, x, random):
    theirs = peer.CfC(WIRINGS["auto"](), mode=mode, return_sequences=True)
    theirs.cell.build((None, 5))
    for layer in theirs.cell._cfc_layers:
        scrambled(layer, random, gain=0.5)
    ours = from_ncps(theirs)
    states, expected = np.zeros((4, 16), "float32"), []
    # Its own layer does not run on this Keras, so its cells are stepped by hand.
    cells = theirs.cell._cfc_layers
    ends = np.cumsum([cell.units for cell in cells])[:-1]
    for t in range(STEPS):
        inputs, new = x[:, t], []
        for cell, state in zip(cells, np.split(states, ends, axis=1), strict=True):
            inputs, _ = cell.call(inputs, [state])
            new.append(numbers(inputs))
        states = np.concatenate(new, axis=1)
        expected.append(new[-1])
    same(ours(x), np.stack(expected, axis=1), atol=1e-5)


def test_mixed_memory(x, random):
    theirs = peer.LTC(WIRINGS["full"](), mixed_memory=True, return_sequences=True)
    theirs.cell.build((None, 5))
    theirs.cell.bias.assign(random.standard_normal(theirs.cell.bias.shape))
    ours = from_ncps(theirs)
    states = [np.zeros((4, 8), "float32")] * 2
    outputs = ours(x)
    for t in range(STEPS):
        expected, (memory, (state,)) = theirs.cell(x[:, t], states)
        states = [memory, state]
        same(outputs[:, t], expected, atol=1e-5)


def test_a_migrated_layer_is_saved(x, random, tmp_path):
    theirs = peer.LTC(WIRINGS["auto"]())
    theirs(x)
    model = keras.Sequential([keras.Input((None, 5)), from_ncps(theirs)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_other_layers_are_refused(x):
    with pytest.raises(ValueError, match="received LSTM"):
        from_ncps(keras.layers.LSTM(3))
    with pytest.raises(ValueError, match="is not built"):
        from_ncps(peer.LTC(WIRINGS["full"]()))
