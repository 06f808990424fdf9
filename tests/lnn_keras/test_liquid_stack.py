"""LiquidBlock and LiquidStack: their graph, elapsed times, strides, saving and bad arguments."""

import keras
import numpy as np
import pytest
from matrix import numbers, same

from lnn_keras import DiagonalLiquidCell, LiquidBlock, LiquidRNN, LiquidStack


@pytest.fixture
def random_features(random):
    return random.standard_normal((2, 9, 3)).astype("float32")


@pytest.fixture
def times(random):
    return random.uniform(0.1, 2, (2, 9)).astype("float32")


def test_a_block_is_its_equation(random, times):
    x = random.standard_normal((2, 9, 4)).astype("float32")
    block = LiquidBlock(4, units=6, elapsed="input")
    y = numbers(block([x, times]))
    normalized = block.get_layer("normalize")(x)
    layer = LiquidRNN(DiagonalLiquidCell(6), return_sequences=True)
    layer.build(x.shape)
    layer.set_weights(block.get_layer("recurrent").get_weights())
    h = layer(normalized, elapsed=times)
    value, gate = (block.get_layer(name)(h) for name in ("value", "gate"))
    same(y, x + numbers(value) * numbers(gate))
    assert block.get_layer("gate").activation is keras.activations.sigmoid


def test_dropout_acts_in_training_only(random):
    x = random.standard_normal((2, 9, 4)).astype("float32")
    block = LiquidBlock(4, dropout=0.5)
    same(block(x), block(x))
    assert np.abs(numbers(block(x, training=True)) - numbers(block(x))).max() > 1e-3


@pytest.mark.parametrize("elapsed", [0.5, "input"])
def test_saved_stacks(elapsed, random_features, times, tmp_path):
    options = dict(blocks=2, width=4, units=5, strides=(3, 1), tau_initializer="ones")
    model = LiquidStack(3, 2, elapsed=elapsed, solver="semi_implicit", unfolds=2, **options)
    inputs = [random_features, times] if elapsed == "input" else random_features
    outputs = numbers(model(inputs))
    assert outputs.shape == (2, 3, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is LiquidStack and loaded.get_config() == model.get_config()
    same(loaded(inputs), outputs)


def test_elapsed_times_add_up_over_strides(random_features):
    """Times that are all 0.5 give the outputs of the number 0.5."""
    fixed = LiquidStack(3, 2, width=4, strides=(3, 2), elapsed=0.5)
    timed = LiquidStack(3, 2, width=4, strides=(3, 2), elapsed="input")
    timed.set_weights(fixed.get_weights())
    same(timed([random_features, np.full((2, 9), 0.5, "float32")]), fixed(random_features))
    assert fixed.get_layer("block_1").get_layer("recurrent").cell.elapsed == 1.5


def test_masks_pass_through(random_features):
    """Masked steps at the end change nothing before them."""
    model = LiquidStack(3, 2, width=4)
    inputs = random_features.copy()
    inputs[:, 6:] = 0
    outputs = keras.Sequential([keras.Input((None, 3)), keras.layers.Masking(), model])(inputs)
    same(numbers(outputs)[:, :6], model(inputs[:, :6]))


def test_only_the_last_output(random_features):
    whole = LiquidStack(3, 2, width=4)
    last = LiquidStack(3, 2, width=4, return_sequences=False)
    last.set_weights(whole.get_weights())
    same(last(random_features), numbers(whole(random_features))[:, -1])


def test_a_stack_learns_within_another_model(random):
    x = random.standard_normal((64, 8, 3)).astype("float32")
    y = np.cumsum(x[..., :1], axis=1)
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, LiquidStack(3, 1, width=6, blocks=1)(inputs))
    model.compile(keras.optimizers.Adam(0.02), "mse")
    losses = model.fit(x, y, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LiquidBlock(0), "`width` must be an integer of at least 1; received 0"),
        (lambda: LiquidBlock(4, units=0), "`units` must be an integer of at least 1"),
        (lambda: LiquidBlock(4, elapsed="last_feature"), 'must be a number or "input"'),
        (lambda: LiquidBlock(4, elapsed="inputs"), "`elapsed` must be a finite number"),
        (lambda: LiquidBlock(4, solver="rk4"), "Unknown solver 'rk4'"),
        (lambda: LiquidBlock(4, dropout=1.5), r"`dropout` must be in \[0, 1\)"),
        (lambda: LiquidStack(3, 2, blocks=0), "`blocks` must be an integer of at least 1"),
        (lambda: LiquidStack(3, 2, width=0), "`width` must be an integer of at least 1"),
        (lambda: LiquidStack(3, 2, strides=(2,)), r"`strides` needs one number per block, so 2"),
        (lambda: LiquidStack(3, 2, strides=(2, 0)), "`strides` must be an integer of at least 1"),
        (lambda: LiquidStack(0, 2), "`features` must be an integer of at least 1"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_width_that_does_not_fit(random_features):
    with pytest.raises(ValueError, match="incompatible"):
        LiquidBlock(4)(random_features)
