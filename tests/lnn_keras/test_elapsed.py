"""Elapsed time in all its forms, and what it must not be."""

import keras
import numpy as np
import pytest
from matrix import CELLS, numbers, same

from lnn_keras import (
    CfCCell,
    CTRNNCell,
    LEFCell,
    LiquidCell,
    LiquidRNN,
    LRCCell,
    LTCCell,
    NODECell,
    ODERNNCell,
)
from lnn_keras import elapsed as elapsed_time
from lnn_keras.solvers import SOLVERS

ODE_CELLS = [LiquidCell, LTCCell, LRCCell, NODECell, CTRNNCell, LEFCell]
every_cell = pytest.mark.parametrize("name", CELLS)


@every_cell
def test_elapsed_in_all_its_forms(name, x, elapsed):
    timed = CELLS[name](elapsed="last_feature")
    inputs = np.concatenate([x, elapsed[..., None]], axis=-1)
    expected = keras.layers.RNN(timed, return_sequences=True)(inputs)
    layer = LiquidRNN(CELLS[name](), return_sequences=True)
    layer.build(x.shape)
    layer.cell.set_weights(timed.get_weights())
    same(layer(x, elapsed=elapsed), expected)
    same(layer(x, elapsed=elapsed[..., None]), expected)
    # One number for every step, at the call and at the cell.
    number = LiquidRNN(CELLS[name](elapsed=0.3), return_sequences=True)
    number.build(x.shape)
    number.cell.set_weights(timed.get_weights())
    same(layer(x, elapsed=0.3), number(x))


def test_elapsed_zero_is_not_one(x):
    """No time passes, so nothing changes: 0 must not be taken for "not given"."""
    layer = LiquidRNN(LiquidCell(5), return_sequences=True)
    assert np.abs(numbers(layer(x))).max() > 0.01
    assert (numbers(layer(x, elapsed=0)) == 0).all()
    assert (numbers(layer(x, elapsed=np.zeros((3, 7), "float32"))) == 0).all()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("cell_class", ODE_CELLS)
def test_no_elapsed_time_leaves_every_state(cell_class, adjoint, solver, x, random):
    cell = cell_class(5, solver=solver, adjoint=adjoint, max_steps=8)
    h = random.standard_normal((3, cell.state_size)).astype("float32")
    for elapsed in (0.0, np.zeros((3, 1), "float32"), np.zeros(3, "float32")):
        _, (state,) = cell(x[:, 0], [h], elapsed=elapsed)
        np.testing.assert_array_equal(numbers(state), h)


def test_no_elapsed_time_leaves_the_state_that_an_observation_meets(x, random):
    """The ODE of ODERNNCell does nothing; its gates still take in the observation."""
    cell, other = ODERNNCell(5), ODERNNCell(5)
    h = random.standard_normal((3, 5)).astype("float32")
    for each in (cell, other):
        each.build((3, 4))
    other.set_weights(cell.get_weights())
    other.hidden_kernel.assign(-3 * other.hidden_kernel)
    same(cell(x[:, 0], [h], elapsed=0.0)[0], other(x[:, 0], [h], elapsed=0.0)[0])
    assert np.abs(numbers(cell(x[:, 0], [h])[0]) - numbers(other(x[:, 0], [h])[0])).max() > 1e-3


def test_elapsed_of_each_sample_is_its_own(x, elapsed):
    layer = LiquidRNN(LiquidCell(5), return_sequences=True)
    together = layer(x, elapsed=elapsed)
    for i in range(3):
        alone = layer(x[i : i + 1], elapsed=elapsed[i : i + 1])
        same(together[i : i + 1], alone)


@pytest.mark.parametrize("shape", [(3,), (3, 7, 2), (3, 7, 1, 1)])
def test_elapsed_of_another_shape_is_refused(shape, x):
    with pytest.raises(ValueError, match=r"`elapsed` must have shape .*received shape"):
        LiquidRNN(LiquidCell(5))(x, elapsed=np.ones(shape, "float32"))


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


def test_time_stamps():
    stamps = np.array([[1.7e9, 1.7e9 + 0.5, 1.7e9 + 2.0]])
    np.testing.assert_allclose(elapsed_time.from_timestamps(stamps), [[0, 0.5, 1.5]])
    np.testing.assert_allclose(elapsed_time.from_timestamps(stamps, first=1), [[1, 0.5, 1.5]])
    with pytest.raises(ValueError, match=r"must not decrease.*fall by 3 after index \(1,\)"):
        elapsed_time.from_timestamps([0, 5, 2])
    with pytest.raises(ValueError, match="must be finite"):
        elapsed_time.from_timestamps([0, np.nan])
