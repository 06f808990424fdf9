"""States of LiquidRNN and keras.layers.RNN: masked, continued, given, in both directions."""

import keras
import numpy as np
import pytest
from drivers import DRIVERS, every_kind, skip_where_the_stock_layer_errs
from matrix import CELLS, TOLERANCE, numbers, same

from lnn_keras import CfCCell, LiquidRNN, NODECell

STEPS = 3


def test_the_second_argument_is_the_initial_state(x):
    """As in keras.layers.RNN; elapsed time is a keyword, though it may have the same shape."""
    state = np.full((3, 3), 0.5, "float32")
    stock, liquid = (driver(cell) for cell in [CfCCell(3)] for driver in DRIVERS)
    same(liquid(x, [state]), stock(x, [state]))
    assert np.abs(numbers(liquid(x, [state])) - numbers(liquid(x))).max() > 1e-3
    assert np.abs(numbers(liquid(x, elapsed=state)) - numbers(liquid(x))).max() > 1e-3


@every_kind
@pytest.mark.parametrize("driver", DRIVERS)
def test_masked_steps_change_nothing(name, driver, x, mask):
    skip_where_the_stock_layer_errs(name, driver)
    layer = driver(CELLS[name](), return_sequences=True, return_state=True)
    _, *states = layer(x, mask=mask)
    for i, length in enumerate((3, 2, 1)):
        _, *unpadded = layer(x[i : i + 1, :length])
        for state, expected in zip(states, unpadded, strict=True):
            same(state[i : i + 1], expected, TOLERANCE[name])


@every_kind
@pytest.mark.parametrize("driver", DRIVERS)
def test_stateful_continues_a_sequence(name, driver, x):
    cell = CELLS[name]()
    at_once = driver(cell, return_sequences=True)(x)
    stateful = driver(cell, return_sequences=True, stateful=True)
    first, second = stateful(x[:, :2]), stateful(x[:, 2:])
    same(np.concatenate([numbers(first), numbers(second)], axis=1), at_once)
    stateful.reset_state()
    same(stateful(x[:, :2]), first)


@every_kind
@pytest.mark.parametrize("driver", DRIVERS)
def test_initial_state(name, driver, x):
    layer = driver(CELLS[name](), return_sequences=True, return_state=True)
    outputs, *final = layer(x)
    _, *middle = layer(x[:, :2])
    rest, *states = layer(x[:, 2:], initial_state=middle)
    same(rest, outputs[:, 2:])
    for state, expected in zip(states, final, strict=True):
        same(state, expected)


@every_kind
@pytest.mark.parametrize("driver", DRIVERS)
def test_bidirectional(name, driver, x):
    layer = keras.layers.Bidirectional(driver(CELLS[name](), return_sequences=True))
    output = layer(x)
    same(output[..., :5], layer.forward_layer(x))
    same(output[..., 5:], numbers(layer.backward_layer(x))[:, ::-1])


@every_kind
def test_stacked_cells_equal_stacked_layers(name, x):
    cells = [CELLS[name](), NODECell(3)]
    stacked = keras.layers.RNN(keras.layers.StackedRNNCells(cells), return_sequences=True)
    layers = [LiquidRNN(cell, return_sequences=True) for cell in cells]
    same(stacked(x), layers[1](layers[0](x)))
