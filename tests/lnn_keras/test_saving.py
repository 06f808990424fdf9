"""What Keras saves, clones and compiles is the model."""

import keras
import numpy as np
import pytest
from matrix import CELLS, numbers, same

from lnn_keras import CTRNNCell, LiquidCell, LiquidRNN, NODECell

every_cell = pytest.mark.parametrize("name", CELLS)
# Compiling takes longest of all: in every run some kinds of steps, the others with `-m slow`.
COMPILED = ("liquid", "liquid-adjoint", "ltc-ncp", "cfc", "mixed-ltc")
BACKEND = keras.backend.backend()


@pytest.mark.parametrize(
    ("name", "driver"), [*((name, LiquidRNN) for name in CELLS), ("mixed-ltc", keras.layers.RNN)]
)
def test_saved_model_is_the_model(name, driver, x, tmp_path):
    inputs = keras.Input((None, 4))
    layer = driver(CELLS[name](elapsed=0.5), return_sequences=True)
    model = keras.Model(inputs, keras.layers.Dense(2)(layer(inputs)))
    model.compile("adam", "mse", jit_compile=BACKEND == "jax")
    losses = model.fit(x, np.ones((3, 7, 2)), epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    expected = numbers(model(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numbers(loaded(x)), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    clone = keras.models.clone_model(model)
    clone.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(numbers(clone(x)), expected)


def test_irregular_model_is_saved_and_trained(x, elapsed, tmp_path):
    inputs, times = keras.Input((None, 4)), keras.Input((None,))
    layer = LiquidRNN(LiquidCell(5))
    model = keras.Model([inputs, times], layer(inputs, elapsed=times))
    model.compile("adam", "mse")
    model.fit([x, elapsed], np.ones((3, 5)), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        model.predict([x, elapsed], verbose=0), loaded.predict([x, elapsed], verbose=0)
    )
    assert np.abs(numbers(layer(x, elapsed=elapsed)) - numbers(layer(x))).max() > 1e-3


@every_cell
def test_config_round_trip(name, x):
    cell = CELLS[name](elapsed=0.25)
    config = cell.get_config()
    again = type(cell).from_config(config)
    assert again.get_config() == config
    again.build((None, 4))
    layers = LiquidRNN(cell), LiquidRNN(again)
    expected = layers[0](x)
    layers[1].build(x.shape)
    layers[1].set_weights(layers[0].get_weights())
    same(layers[1](x), expected)


def test_tau_of_the_initializer():
    cell = LiquidCell(5, tau_initializer=keras.initializers.Constant(3.0))
    cell = LiquidCell.from_config(cell.get_config())
    cell.build((None, 4))
    np.testing.assert_allclose(numbers(cell.tau), 3.0, rtol=1e-6)


@pytest.mark.skipif(BACKEND == "torch", reason="torch.compile takes no loops like these")
@pytest.mark.skipif(BACKEND == "jax", reason="Keras compiles there unless told otherwise")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in COMPILED else pytest.mark.slow) for name in CELLS],
)
def test_compiled_training_is_the_same(name, x, elapsed):
    losses = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(0)
        inputs, times = keras.Input((7, 4)), keras.Input((7,))
        outputs = LiquidRNN(CELLS[name](), return_sequences=True)(inputs, elapsed=times)
        model = keras.Model([inputs, times], outputs)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        history = model.fit([x, elapsed], np.ones((3, 7, 5)), epochs=3, verbose=0)
        losses.append(history.history["loss"])
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def model_of(cell):
    inputs = keras.Input((None, 4))
    return keras.Model(inputs, LiquidRNN(cell)(inputs))


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_weights_of_another_cell_are_refused(suffix, tmp_path):
    """NODECell and CTRNNCell have weights of the same names and shapes, and other equations."""
    path = tmp_path / f"model{suffix}"
    model = model_of(NODECell(5))
    model.save(path) if suffix == ".keras" else model.save_weights(path)
    with pytest.raises(ValueError, match=r"are those of NODECell.* is a CTRNNCell"):
        model_of(CTRNNCell(5)).load_weights(path)


def test_weights_of_another_layer_or_size_are_refused(tmp_path):
    inputs = keras.Input((None, 4))
    gru = keras.Model(inputs, keras.layers.RNN(keras.layers.GRUCell(5))(inputs))
    gru.save_weights(tmp_path / "gru.weights.h5")
    with pytest.raises(ValueError, match="'liquid_cell' expected 5 variables, but received 0"):
        model_of(LiquidCell(5)).load_weights(tmp_path / "gru.weights.h5")
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(4, 6\)|\(4, 6\).*\(4, 5\)"):
        model_of(LiquidCell(5)).set_weights(model_of(LiquidCell(6)).get_weights())
