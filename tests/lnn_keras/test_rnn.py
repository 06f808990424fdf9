"""The two drivers against each other, and in everything that Keras does with an RNN."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from gradients import gradients

from lnn_keras import (
    CfCCell,
    CTGRUCell,
    CTRNNCell,
    LiquidCell,
    LiquidRNN,
    LTCCell,
    MixedMemoryCell,
    NODECell,
    ODERNNCell,
    WiredCfCCell,
)
from lnn_keras import elapsed as elapsed_time
from lnn_keras.wirings import AutoNCP

CELLS = {
    "liquid": lambda **k: LiquidCell(5, unfolds=3, **k),
    "node": lambda **k: NODECell(5, unfolds=3, **k),
    "node-rk4": lambda **k: NODECell(5, unfolds=2, solver="rk4", **k),
    "liquid-euler": lambda **k: LiquidCell(5, unfolds=8, solver="euler", **k),
    "ctrnn": lambda **k: CTRNNCell(5, unfolds=2, solver="midpoint", **k),
    "ltc": lambda **k: LTCCell(5, unfolds=2, **k),
    "ltc-ncp": lambda **k: LTCCell(AutoNCP(12, outputs=5), unfolds=2, **k),
    "cfc": lambda **k: CfCCell(5, backbone_units=6, **k),
    "cfc-deep": lambda **k: CfCCell(5, "no_gate", backbone_units=6, backbone_layers=2, **k),
    "cfc-pure": lambda **k: CfCCell(5, "pure", backbone_layers=0, **k),
    "cfc-wired": lambda **k: WiredCfCCell(AutoNCP(12, outputs=5), **k),
    "ct-gru": lambda **k: CTGRUCell(5, scales=3, **k),
    "ode-rnn": lambda **k: ODERNNCell(5, hidden_units=6, **k),
    "mixed-ltc": lambda dtype=None, **k: MixedMemoryCell(LTCCell(5, unfolds=1, dtype=dtype), **k),
}
every_cell = pytest.mark.parametrize("name", CELLS)


@pytest.fixture
def x(random):
    return random.standard_normal((3, 7, 4)).astype("float32")


@pytest.fixture
def elapsed(random):
    return (random.random((3, 7)) * 2).astype("float32")


@pytest.fixture
def mask():
    return np.arange(7)[None] < np.array([7, 4, 1])[:, None]


def drivers(cell, **kwargs):
    return keras.layers.RNN(cell, **kwargs), LiquidRNN(cell, **kwargs)


@every_cell
@pytest.mark.parametrize(
    "options",
    [
        {"return_sequences": True},
        {"return_sequences": False},
        {"return_sequences": True, "go_backwards": True},
        {"return_sequences": True, "unroll": True},
        {"return_sequences": True, "return_state": True, "zero_output_for_mask": True},
    ],
)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("timed", [False, True])
def test_drivers_agree(name, options, masked, timed, x, elapsed, mask):
    cell = CELLS[name](elapsed="last_feature" if timed else 0.7)
    stock, liquid = drivers(cell, **options)
    inputs = np.asarray(elapsed_time.append(x, elapsed)) if timed else x
    kwargs = {"mask": mask} if masked else {}
    for a, b in zip(
        keras.tree.flatten(stock(inputs, **kwargs)),
        keras.tree.flatten(liquid(inputs, **kwargs)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


@every_cell
def test_gradients_of_the_drivers_agree(name, x):
    cell = CELLS[name]()
    found = []
    for layer in drivers(cell, return_sequences=True):
        layer(x)
        found.append(gradients(lambda layer=layer: keras.ops.sum(layer(x) ** 2), cell.weights))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, rtol=1e-5)


@every_cell
def test_elapsed_in_all_its_forms(name, x, elapsed):
    timed = CELLS[name](elapsed="last_feature")
    expected = keras.layers.RNN(timed, return_sequences=True)(elapsed_time.append(x, elapsed))
    layer = LiquidRNN(CELLS[name](), return_sequences=True)
    layer.build(x.shape)
    layer.cell.set_weights(timed.get_weights())
    np.testing.assert_allclose(layer(x, elapsed=elapsed), expected, atol=1e-6)
    np.testing.assert_allclose(layer(x, elapsed=elapsed[..., None]), expected, atol=1e-6)
    # One number for every step, at the call and at the cell.
    number = LiquidRNN(CELLS[name](elapsed=0.3), return_sequences=True)
    number.build(x.shape)
    number.cell.set_weights(timed.get_weights())
    np.testing.assert_allclose(layer(x, elapsed=0.3), number(x), atol=1e-6)


def test_elapsed_zero_is_not_one(x):
    """No time passes, so nothing changes: 0 must not be taken for "not given"."""
    layer = LiquidRNN(LiquidCell(5), return_sequences=True)
    assert np.abs(layer(x)).max() > 0.01
    assert (np.asarray(layer(x, elapsed=0)) == 0).all()
    assert (np.asarray(layer(x, elapsed=np.zeros((3, 7), "float32"))) == 0).all()


def test_elapsed_of_each_sample_is_its_own(x, elapsed):
    layer = LiquidRNN(LiquidCell(5), return_sequences=True)
    together = layer(x, elapsed=elapsed)
    for i in range(3):
        alone = layer(x[i : i + 1], elapsed=elapsed[i : i + 1])
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-6)


@pytest.mark.parametrize("shape", [(3,), (3, 7, 2), (3, 7, 1, 1)])
def test_elapsed_of_another_shape_is_refused(shape, x):
    with pytest.raises(ValueError, match=r"`elapsed` must have shape .*received shape"):
        LiquidRNN(LiquidCell(5))(x, elapsed=np.ones(shape, "float32"))


@every_cell
@pytest.mark.parametrize("driver", [keras.layers.RNN, LiquidRNN])
def test_masked_steps_change_nothing(name, driver, x, mask):
    layer = driver(CELLS[name](), return_sequences=True, return_state=True)
    _, *states = layer(x, mask=mask)
    for i, length in enumerate([7, 4, 1]):
        _, *alone = layer(x[i : i + 1, :length])
        for state, expected in zip(states, alone, strict=True):
            np.testing.assert_allclose(state[i : i + 1], expected, atol=1e-6)


@every_cell
@pytest.mark.parametrize("driver", [keras.layers.RNN, LiquidRNN])
def test_stateful_carries_on(name, driver, x):
    cell = CELLS[name]()
    whole = driver(cell, return_sequences=True)(x)
    stateful = driver(cell, return_sequences=True, stateful=True)
    first, second = stateful(x[:, :3]), stateful(x[:, 3:])
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-6)
    stateful.reset_state()
    np.testing.assert_allclose(stateful(x[:, :3]), first, atol=1e-6)


@every_cell
@pytest.mark.parametrize("driver", [keras.layers.RNN, LiquidRNN])
def test_initial_state(name, driver, x):
    cell = CELLS[name]()
    layer = driver(cell, return_sequences=True, return_state=True)
    whole, *final = layer(x)
    _, *middle = layer(x[:, :4])
    rest, *states = layer(x[:, 4:], initial_state=middle)
    np.testing.assert_allclose(rest, whole[:, 4:], atol=1e-6)
    for state, expected in zip(states, final, strict=True):
        np.testing.assert_allclose(state, expected, atol=1e-6)


@every_cell
@pytest.mark.parametrize("driver", [keras.layers.RNN, LiquidRNN])
def test_bidirectional(name, driver, x):
    layer = keras.layers.Bidirectional(driver(CELLS[name](), return_sequences=True))
    output = layer(x)
    forward, backward = layer.forward_layer, layer.backward_layer
    np.testing.assert_allclose(output[..., :5], forward(x), atol=1e-6)
    np.testing.assert_allclose(output[..., 5:], backward(x)[:, ::-1], atol=1e-6)


def test_stacked_cells_equal_stacked_layers(x):
    cells = [LiquidCell(5), NODECell(3)]
    stacked = keras.layers.RNN(keras.layers.StackedRNNCells(cells), return_sequences=True)
    layers = [LiquidRNN(cell, return_sequences=True) for cell in cells]
    np.testing.assert_allclose(stacked(x), layers[1](layers[0](x)), atol=1e-6)


@every_cell
@pytest.mark.parametrize("dtype", ["mixed_float16", "float64"])
@pytest.mark.parametrize("driver", [keras.layers.RNN, LiquidRNN])
def test_compute_dtypes(name, dtype, driver, x):
    single = driver(CELLS[name](), return_sequences=True)
    expected = np.asarray(single(x))
    layer = driver(CELLS[name](dtype=dtype), return_sequences=True, dtype=dtype)
    layer.build(x.shape)
    layer.set_weights(single.get_weights())
    output = layer(x)
    compute = "float16" if dtype == "mixed_float16" else "float64"
    assert keras.backend.standardize_dtype(output.dtype) == compute
    np.testing.assert_allclose(output, expected, atol=2e-2 if compute == "float16" else 1e-6)


@pytest.mark.parametrize("driver", [keras.layers.RNN, LiquidRNN])
@pytest.mark.parametrize(
    ("name", "jit_compile"), [*((name, False) for name in CELLS), ("liquid", True)]
)
def test_saved_model_is_the_model(name, driver, jit_compile, x, tmp_path):
    inputs = keras.Input((None, 4))
    layer = driver(CELLS[name](elapsed=0.5), return_sequences=True)
    model = keras.Model(inputs, keras.layers.Dense(2)(layer(inputs)))
    model.compile("adam", "mse", jit_compile=jit_compile)
    before = model.evaluate(x, np.ones((3, 7, 2)), verbose=0)
    model.fit(x, np.ones((3, 7, 2)), epochs=20, verbose=0)
    assert model.evaluate(x, np.ones((3, 7, 2)), verbose=0) < before
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
    model.save_weights(tmp_path / "model.weights.h5")
    clone = keras.models.clone_model(model)
    clone.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model.predict(x, verbose=0), clone.predict(x, verbose=0))


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
    assert np.abs(layer(x, elapsed=elapsed) - layer(x)).max() > 1e-3


@every_cell
def test_config_round_trip(name, x):
    cell = CELLS[name](elapsed=0.25)
    config = cell.get_config()
    again = type(cell).from_config(config)
    assert again.get_config() == config
    again.build((None, 4))
    layers = drivers(cell)[1], LiquidRNN(again)
    expected = layers[0](x)
    layers[1].build(x.shape)
    layers[1].set_weights(layers[0].get_weights())
    np.testing.assert_array_equal(layers[1](x), expected)


def test_tau_of_the_initializer():
    cell = LiquidCell(5, tau_initializer=keras.initializers.Constant(3.0))
    cell = LiquidCell.from_config(cell.get_config())
    cell.build((None, 4))
    np.testing.assert_allclose(cell.tau, 3.0, rtol=1e-6)


@pytest.mark.parametrize("value", [-0.5, np.nan, np.inf])
def test_elapsed_times_that_cannot_be_are_refused(value, x, elapsed):
    elapsed[1, 2] = value
    named = rf"`elapsed` must be finite and at least 0; received 1 other values, {value}"
    with pytest.raises(ValueError, match=named):
        LiquidRNN(LiquidCell(5))(x, elapsed=elapsed)
    with pytest.raises(ValueError, match=named):
        timed = LiquidRNN(CfCCell(5, elapsed="last_feature"))
        timed(np.concatenate([x, elapsed[..., None]], axis=-1))
    with pytest.raises(ValueError, match="`elapsed` must be finite"):
        LiquidCell(5)(x[:, 0], [np.zeros((3, 5))], elapsed=value)


def test_cell_without_protocol_is_refused():
    with pytest.raises(ValueError, match="LSTMCell lacks project and advance"):
        LiquidRNN(keras.layers.LSTMCell(3))


def test_time_stamps():
    stamps = np.array([[1.7e9, 1.7e9 + 0.5, 1.7e9 + 2.0]])
    np.testing.assert_allclose(elapsed_time.from_timestamps(stamps), [[0, 0.5, 1.5]])
    np.testing.assert_allclose(elapsed_time.from_timestamps(stamps, first=1), [[1, 0.5, 1.5]])
    with pytest.raises(ValueError, match=r"must not decrease.*fall by 3 after index \(1,\)"):
        elapsed_time.from_timestamps([0, 5, 2])
    with pytest.raises(ValueError, match="must be finite"):
        elapsed_time.from_timestamps([0, np.nan])


def test_import_is_lean():
    """Beyond keras itself, which imports matplotlib where that is installed."""
    code = (
        "import sys, keras; before = set(sys.modules); import lnn_keras;"
        "heavy = {'tensorflow_model_optimization', 'matplotlib', 'pooch', 'rich', 'typer'};"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
