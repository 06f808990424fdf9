"""The two drivers against each other, and in everything that Keras does with an RNN."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from gradients import gradients
from matrix import CELLS, TOLERANCE, numbers, same

from lnn_keras import LiquidRNN, NODECell

BACKEND = keras.backend.backend()
every_cell = pytest.mark.parametrize("name", CELLS)


@pytest.fixture
def mask():
    return np.arange(7)[None] < np.array([7, 4, 1])[:, None]


def drivers(cell, **kwargs):
    return keras.layers.RNN(cell, **kwargs), LiquidRNN(cell, **kwargs)


def skip_where_the_stock_layer_errs(name, driver=keras.layers.RNN):
    """Keras's JAX scan repeats a cell's first state for its output at masked steps."""
    other_output = {"ltc-ncp", "lef", "cfc-wired", "ct-gru", "mixed-ltc"}
    if BACKEND == "jax" and driver is keras.layers.RNN and name in other_output:
        pytest.skip("masks of keras.layers.RNN under JAX need a state that is the output")


@every_cell
@pytest.mark.parametrize(
    ("options", "masked", "timed"),
    [
        ({"return_sequences": True}, False, False),
        ({"return_sequences": True}, True, True),
        ({"return_sequences": False}, True, False),
        ({"return_sequences": True, "go_backwards": True}, False, True),
        ({"return_sequences": True, "go_backwards": True}, True, True),
        ({"return_sequences": True, "unroll": True}, True, True),
        (
            {"return_sequences": True, "return_state": True, "zero_output_for_mask": True},
            True,
            True,
        ),
    ],
)
def test_drivers_agree(name, options, masked, timed, x, elapsed, mask):
    if masked:
        skip_where_the_stock_layer_errs(name)
    cell = CELLS[name](elapsed="last_feature" if timed else 0.7)
    stock, liquid = drivers(cell, **options)
    inputs = np.concatenate([x, elapsed[..., None]], axis=-1) if timed else x
    kwargs = {"mask": mask} if masked else {}
    for a, b in zip(
        keras.tree.flatten(stock(inputs, **kwargs)),
        keras.tree.flatten(liquid(inputs, **kwargs)),
        strict=True,
    ):
        same(a, b)


@every_cell
def test_gradients_of_the_drivers_agree(name, x):
    cell = CELLS[name]()
    found = []
    for layer in drivers(cell, return_sequences=True):
        layer(x)
        found.append(gradients(lambda layer=layer: keras.ops.sum(layer(x) ** 2), cell.weights))
    for a, b in zip(*found, strict=True):
        # Both sum the same terms, in another order.
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


@every_cell
@pytest.mark.parametrize("driver", [keras.layers.RNN, LiquidRNN])
def test_masked_steps_change_nothing(name, driver, x, mask):
    skip_where_the_stock_layer_errs(name, driver)
    layer = driver(CELLS[name](), return_sequences=True, return_state=True)
    _, *states = layer(x, mask=mask)
    for i, length in enumerate([7, 4, 1]):
        _, *alone = layer(x[i : i + 1, :length])
        for state, expected in zip(states, alone, strict=True):
            same(state[i : i + 1], expected, TOLERANCE[name])


@every_cell
@pytest.mark.parametrize("driver", [keras.layers.RNN, LiquidRNN])
def test_stateful_carries_on(name, driver, x):
    cell = CELLS[name]()
    whole = driver(cell, return_sequences=True)(x)
    stateful = driver(cell, return_sequences=True, stateful=True)
    first, second = stateful(x[:, :3]), stateful(x[:, 3:])
    same(np.concatenate([numbers(first), numbers(second)], axis=1), whole)
    stateful.reset_state()
    same(stateful(x[:, :3]), first)


@every_cell
@pytest.mark.parametrize("driver", [keras.layers.RNN, LiquidRNN])
def test_initial_state(name, driver, x):
    cell = CELLS[name]()
    layer = driver(cell, return_sequences=True, return_state=True)
    whole, *final = layer(x)
    _, *middle = layer(x[:, :4])
    rest, *states = layer(x[:, 4:], initial_state=middle)
    same(rest, whole[:, 4:])
    for state, expected in zip(states, final, strict=True):
        same(state, expected)


@every_cell
@pytest.mark.parametrize("driver", [keras.layers.RNN, LiquidRNN])
def test_bidirectional(name, driver, x):
    layer = keras.layers.Bidirectional(driver(CELLS[name](), return_sequences=True))
    output = layer(x)
    forward, backward = layer.forward_layer, layer.backward_layer
    same(output[..., :5], forward(x))
    same(output[..., 5:], numbers(backward(x))[:, ::-1])


@every_cell
def test_stacked_cells_equal_stacked_layers(name, x):
    cells = [CELLS[name](), NODECell(3)]
    stacked = keras.layers.RNN(keras.layers.StackedRNNCells(cells), return_sequences=True)
    layers = [LiquidRNN(cell, return_sequences=True) for cell in cells]
    same(stacked(x), layers[1](layers[0](x)))


@every_cell
@pytest.mark.parametrize("dtype", ["mixed_float16", "float64"])
@pytest.mark.parametrize("driver", [keras.layers.RNN, LiquidRNN])
def test_compute_dtypes(name, dtype, driver, x):
    if dtype == "float64" and BACKEND == "jax":
        pytest.skip("JAX computes in float32 unless told otherwise")
    single = driver(CELLS[name](), return_sequences=True)
    expected = single(x)
    layer = driver(CELLS[name](dtype=dtype), return_sequences=True, dtype=dtype)
    layer.build(x.shape)
    layer.set_weights(single.get_weights())
    output = layer(x)
    compute = "float16" if dtype == "mixed_float16" else "float64"
    assert keras.backend.standardize_dtype(output.dtype) == compute
    same(output, expected, atol=2e-2 if compute == "float16" else TOLERANCE[name])


def test_cell_without_protocol_is_refused():
    with pytest.raises(ValueError, match="LSTMCell lacks project and advance"):
        LiquidRNN(keras.layers.LSTMCell(3))


def test_import_is_lean():
    """Beyond keras itself, which imports matplotlib where that is installed."""
    code = (
        "import sys, keras; before = set(sys.modules); import lnn_keras;"
        "heavy = {'tensorflow_model_optimization', 'matplotlib', 'pooch', 'rich', 'typer'};"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
