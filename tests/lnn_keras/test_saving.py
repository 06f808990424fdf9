"""Configs, saved files, clones and compiled training steps preserve a model.

The fast tests save all cells in a stock layer, and LiquidRNN with one cell of each kind: "liquid"
(rematerialized scan), "ltc-ncp" (batch-last steps), "cfc" (constants for a fixed elapsed time) and
"mixed-ltc" (several states). Only "liquid" is trained and compiled. `-m slow` runs everything with
all cells.
"""

import keras
import numpy as np
import pytest
from matrix import CELLS, UNITS, numbers, same

from lnn_keras import CTRNNCell, LiquidCell, LiquidRNN, NODECell

KINDS = ("liquid", "ltc-ncp", "cfc", "mixed-ltc")
BACKEND = keras.backend.backend()

every_cell = pytest.mark.parametrize("name", CELLS)


def fast(names):
    """Parametrize by the names of all cells; those that are not listed are slow."""
    slow = pytest.mark.slow
    return pytest.mark.parametrize(
        "name", [name if name in names else pytest.param(name, marks=slow) for name in CELLS]
    )


@pytest.fixture
def x(random):
    return random.standard_normal((3, 4, 4)).astype("float32")


@pytest.fixture
def elapsed(random):
    return (random.random((3, 4)) * 2).astype("float32")


def randomized(layer, random):
    """A layer with weights that differ from all initial values."""
    weights = layer.get_weights()
    layer.set_weights([w * random.uniform(0.8, 1.2, w.shape) + 0.01 for w in weights])
    return layer


@every_cell
def test_a_saved_model_has_the_same_outputs(name, x, random, tmp_path):
    cell = CELLS[name](elapsed=0.5)
    layer = keras.layers.RNN(cell, return_sequences=True, unroll=True)
    model = randomized(keras.Sequential([keras.Input((1, 4)), layer]), random)
    expected = numbers(model(x[:, :1]))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numbers(loaded(x[:, :1])), expected)
    assert type(loaded.layers[0].cell) is type(cell)
    assert loaded.layers[0].cell.elapsed == 0.5


@fast(KINDS)
def test_a_model_of_liquid_rnn_is_saved_and_cloned(name, x, random, tmp_path):
    inputs = keras.Input((None, 4))
    layer = LiquidRNN(CELLS[name](elapsed=0.5), return_sequences=True)
    model = randomized(keras.Model(inputs, layer(inputs)), random)
    expected = numbers(model(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numbers(loaded(x)), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    clone = keras.models.clone_model(model)
    clone.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(numbers(clone(x)), expected)


def assert_trained_and_saved(layer, x, path):
    model = keras.Sequential([keras.Input((None, 4)), layer, keras.layers.Dense(2)])
    model.compile("adam", "mse", jit_compile=BACKEND == "jax")
    # Without it, TensorFlow traces the training step twice.
    model.optimizer.build(model.trainable_variables)
    losses = model.fit(x, np.ones((3, 4, 2)), epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(numbers(loaded(x)), numbers(model(x)))


@pytest.mark.slow
@every_cell
def test_a_trained_model_of_liquid_rnn_is_saved(name, x, tmp_path):
    layer = LiquidRNN(CELLS[name](elapsed=0.5), return_sequences=True)
    assert_trained_and_saved(layer, x, tmp_path / "model.keras")


@pytest.mark.slow
def test_a_trained_model_of_the_stock_layer_is_saved(x, tmp_path):
    layer = keras.layers.RNN(CELLS["mixed-ltc"](elapsed=0.5), return_sequences=True)
    assert_trained_and_saved(layer, x, tmp_path / "model.keras")


def test_a_model_with_elapsed_time_is_trained_and_saved(x, elapsed, tmp_path):
    inputs, times = keras.Input((None, 4)), keras.Input((None,))
    layer = LiquidRNN(LiquidCell(UNITS, unfolds=1))
    model = keras.Model([inputs, times], layer(inputs, elapsed=times))
    model.compile("adam", "mse", jit_compile=BACKEND == "jax")
    # Without it, TensorFlow traces the training step twice.
    model.optimizer.build(model.trainable_variables)
    history = model.fit([x, elapsed], np.ones((3, UNITS)), epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numbers(loaded([x, elapsed])), numbers(model([x, elapsed])))
    assert np.abs(numbers(layer(x, elapsed=elapsed)) - numbers(layer(x))).max() > 1e-3


@every_cell
def test_config_round_trip(name, x):
    cell = CELLS[name](elapsed=0.25)
    config = cell.get_config()
    copy = type(cell).from_config(config)
    assert copy.get_config() == config
    for each in (cell, copy):
        each.build((None, 4))
    copy.set_weights(cell.get_weights())
    states = cell.get_initial_state(3)
    same(copy(x[:, 0], states)[0], cell(x[:, 0], states)[0])


def test_configs_from_before_dropout_and_regularizers(x):
    """Saved files from before these options existed have configs without them."""
    cell = LiquidCell(UNITS)
    config = cell.get_config()
    kept = ("name", "trainable", "dtype", "elapsed", "units", "unfolds", "solver", "rtol", "atol")
    initializers = ("kernel", "recurrent", "bias", "tau", "reversal")
    names = (*kept, "max_steps", "adjoint", *(f"{name}_initializer" for name in initializers))
    assert LiquidCell.from_config({name: config[name] for name in names}).get_config() == config


def test_time_constants_of_the_initializer():
    cell = LiquidCell(5, tau_initializer=keras.initializers.Constant(3.0))
    cell = LiquidCell.from_config(cell.get_config())
    cell.build((None, 4))
    np.testing.assert_allclose(numbers(cell.tau), 3.0, rtol=1e-6)


@pytest.mark.skipif(BACKEND == "torch", reason="torch.compile does not support these loops")
@pytest.mark.skipif(BACKEND == "jax", reason="Keras compiles training steps on JAX by default")
@fast(("liquid",))
def test_compiled_training_has_the_same_losses(name, x, elapsed):
    losses = []
    for options in ({"run_eagerly": True}, {"jit_compile": True}):
        keras.utils.set_random_seed(0)
        inputs, times = keras.Input((4, 4)), keras.Input((4,))
        outputs = LiquidRNN(CELLS[name](), return_sequences=True)(inputs, elapsed=times)
        model = keras.Model([inputs, times], outputs)
        model.compile(keras.optimizers.SGD(0.1), "mse", **options)
        model.optimizer.build(model.trainable_variables)
        history = model.fit([x, elapsed], np.ones((3, 4, UNITS)), epochs=2, verbose=0)
        losses.append(history.history["loss"])
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def model_of(cell):
    layer = keras.layers.RNN(cell, unroll=True)
    return keras.Sequential([keras.Input((1, 4)), layer])


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_weights_of_another_cell_are_refused(suffix, tmp_path):
    """NODECell and CTRNNCell have weights of the same names and shapes, and other equations."""
    path = tmp_path / f"model{suffix}"
    model = model_of(NODECell(5))
    model.save(path) if suffix == ".keras" else model.save_weights(path)
    message = "is a CTRNNCell and loads only weights of that class; received weights of NODECell"
    with pytest.raises(ValueError, match=message):
        model_of(CTRNNCell(5)).load_weights(path)


def test_weights_of_another_layer_or_size_are_refused(tmp_path):
    model_of(keras.layers.GRUCell(5)).save_weights(tmp_path / "gru.weights.h5")
    with pytest.raises(ValueError, match="received weights of another layer"):
        model_of(LiquidCell(5)).load_weights(tmp_path / "gru.weights.h5")
    inputs = keras.Input((1, 4))
    other = keras.Model(inputs, LiquidRNN(LiquidCell(5, name="cell"))(inputs))
    with pytest.raises(ValueError, match="'cell' expected 5 variables, but received 0"):
        other.load_weights(tmp_path / "gru.weights.h5")
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(4, 6\)|\(4, 6\).*\(4, 5\)"):
        model_of(LiquidCell(5)).set_weights(model_of(LiquidCell(6)).get_weights())
