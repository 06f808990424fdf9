"""Series that are read backwards: an elapsed time belongs to the gap between two steps."""

import keras
import numpy as np
import pytest
from gradients import compiled
from matrix import CELLS, numbers, same

import lnn_keras
from lnn_keras import CfCCell, LiquidCell, LiquidRNN
from lnn_keras import elapsed as elapsed_time

MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 1, 0, 1, 1]], bool)
FIRST = 0.3


@pytest.fixture
def x(random):
    return random.standard_normal((3, 5, 4)).astype("float32")


@pytest.fixture
def times(random):
    return np.cumsum(random.random((3, 5)), axis=1)


@pytest.fixture
def elapsed(times):
    return elapsed_time.from_timestamps(times, first=FIRST)


@pytest.mark.parametrize("name", ["liquid", "cfc", "ct-gru"])
def test_backwards_is_the_reversed_series(name, x, times, elapsed):
    cell = CELLS[name]()
    options = {"return_sequences": True, "return_state": True}
    backwards = LiquidRNN(cell, go_backwards=True, **options)(x, elapsed=elapsed)
    gaps = elapsed_time.from_timestamps(-times[:, ::-1], first=FIRST)
    reversed_series = LiquidRNN(cell, **options)(x[:, ::-1].copy(), elapsed=gaps)
    for actual, expected in zip(backwards, reversed_series, strict=True):
        same(actual, expected)
    # Flipping the gaps with the features gives other numbers.
    flipped = LiquidRNN(cell, **options)(x[:, ::-1].copy(), elapsed=elapsed[:, ::-1].copy())
    assert np.abs(numbers(flipped[0]) - numbers(backwards[0])).max() > 0.01


def test_masked_steps_are_absent(x, elapsed):
    layer = LiquidRNN(CELLS["liquid"](), go_backwards=True)
    output = layer(x, elapsed=elapsed, mask=MASK)
    for i, valid in enumerate(MASK):
        short = layer(x[i : i + 1, valid], elapsed=elapsed[i : i + 1, valid])
        same(output[i : i + 1], short)


def test_gaps_in_compiled_graphs(elapsed):
    elapsed = keras.ops.convert_to_tensor(elapsed[..., None])
    mask = keras.ops.convert_to_tensor(MASK[..., None])
    expected = elapsed_time.backwards(elapsed, mask)
    same(compiled(elapsed_time.backwards)(elapsed, mask), expected)
    # The gap behind the last valid step of sample 2 is that before its first valid step.
    assert numbers(expected)[2, 4, 0] == numbers(elapsed)[2, 1, 0]


def test_the_last_feature_as_elapsed_time(x, elapsed):
    timed = np.concatenate([x, elapsed[..., None]], axis=-1)
    cell = CfCCell(5, backbone_units=6, elapsed="last_feature")
    layer = LiquidRNN(cell, go_backwards=True)
    output = layer(timed, mask=MASK)
    plain = LiquidRNN(CfCCell(5, backbone_units=6), go_backwards=True)
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    same(output, plain(x, elapsed=elapsed, mask=MASK))


def bidirectional(**options):
    return lnn_keras.Bidirectional(LiquidRNN(LiquidCell(3), return_sequences=True), **options)


def test_both_directions(x, elapsed):
    layer = bidirectional()
    output = layer(x, elapsed=elapsed, mask=MASK)
    # Keras returns zeros at masked steps of a Bidirectional layer.
    same(output[..., :3], layer.forward_layer(x, elapsed=elapsed, mask=MASK))
    backward = numbers(layer.backward_layer(x, elapsed=elapsed, mask=MASK))
    same(output[..., 3:], backward[:, ::-1])
    same(layer(x, elapsed=0.4), layer(x, elapsed=np.full((3, 5, 1), 0.4, "float32")))
    same(layer(x), keras.layers.Bidirectional.call(layer, keras.ops.convert_to_tensor(x)))


def test_a_model_of_both_directions_is_saved(x, elapsed, tmp_path):
    inputs, times = keras.Input((None, 4)), keras.Input((None,))
    outputs = bidirectional(merge_mode="sum")(inputs, elapsed=times)
    model = keras.Model([inputs, times], keras.layers.Dense(1)(outputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    same(loaded([x, elapsed]), model([x, elapsed]))
    assert type(loaded.layers[2]) is lnn_keras.Bidirectional


def test_other_layers_are_refused():
    with pytest.raises(ValueError, match="`layer` must be a LiquidRNN; received LSTM"):
        lnn_keras.Bidirectional(keras.layers.LSTM(3))
    with pytest.raises(ValueError, match="`backward_layer` must be a LiquidRNN; received GRU"):
        backward = keras.layers.GRU(3, go_backwards=True)
        lnn_keras.Bidirectional(LiquidRNN(LiquidCell(3)), backward_layer=backward)
