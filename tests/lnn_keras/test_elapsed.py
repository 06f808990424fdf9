"""Elapsed time in all its forms, and errors for invalid elapsed times."""

import datetime
import types

import keras
import numpy as np
import pytest
from gradients import compiled
from matrix import CELLS, numbers, same

from lnn_keras import (
    Bidirectional,
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


@pytest.fixture
def x(random):
    return random.standard_normal((3, 4, 4)).astype("float32")


@pytest.fixture
def elapsed(random):
    return (random.random((3, 4)) * 2).astype("float32")


@every_cell
def test_elapsed_in_all_its_forms(name, x, elapsed):
    x, elapsed = x[:, :2], elapsed[:, :2]
    timed = CELLS[name](elapsed="last_feature")
    inputs = np.concatenate([x, elapsed[..., None]], axis=-1)
    expected = keras.layers.RNN(timed, return_sequences=True, unroll=True)(inputs)
    # JAX compiles every call; test_scan.py tests recomputed steps.
    layer = LiquidRNN(CELLS[name](elapsed=0.3), remat=None, return_sequences=True)
    layer.build(x.shape)
    layer.cell.set_weights(timed.get_weights())
    same(layer(x, elapsed=elapsed), expected)
    same(layer(x, elapsed=elapsed[..., None]), expected)
    # One number for every step, as an argument of the call and of the cell.
    same(layer(x, elapsed=0.3), layer(x))


def test_elapsed_zero_is_not_the_default(x):
    """Without elapsed time nothing changes: 0 must not be mistaken for "not given"."""
    layer = LiquidRNN(LiquidCell(5), return_sequences=True)
    assert np.abs(numbers(layer(x))).max() > 0.01
    assert (numbers(layer(x, elapsed=0)) == 0).all()
    assert (numbers(layer(x, elapsed=np.zeros((3, 4), "float32"))) == 0).all()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("cell_class", ODE_CELLS)
def test_no_elapsed_time_leaves_every_state(cell_class, solver, x, random):
    cell = cell_class(5, unfolds=2, solver=solver, max_steps=8)
    h = random.standard_normal((3, cell.state_size)).astype("float32")
    each_sample = np.zeros(3, "float32")
    # The form of the elapsed time reaches no solver, so the adjoint needs one.
    for adjoint, forms in (False, (0.0, each_sample, each_sample[:, None])), (True, (each_sample,)):
        cell.adjoint = adjoint
        for elapsed in forms:
            _, (state,) = cell(x[:, 0], [h], elapsed=elapsed)
            np.testing.assert_array_equal(numbers(state), h)


def test_no_elapsed_time_leaves_the_state_before_an_observation(x, random):
    """The ODE of ODERNNCell has no effect; its gates still use the observation."""
    cell, other = ODERNNCell(5), ODERNNCell(5)
    h = random.standard_normal((3, 5)).astype("float32")
    for each in (cell, other):
        each.build((3, 4))
    other.set_weights(cell.get_weights())
    other.hidden_kernel.assign(-3 * other.hidden_kernel)
    same(cell(x[:, 0], [h], elapsed=0.0)[0], other(x[:, 0], [h], elapsed=0.0)[0])
    assert np.abs(numbers(cell(x[:, 0], [h])[0]) - numbers(other(x[:, 0], [h])[0])).max() > 1e-3


def test_each_sample_has_its_elapsed_time(x, elapsed):
    layer = LiquidRNN(LiquidCell(5), return_sequences=True)
    batch = layer(x, elapsed=elapsed)
    for i in range(3):
        same(batch[i : i + 1], layer(x[i : i + 1], elapsed=elapsed[i : i + 1]))


@pytest.mark.parametrize("shape", [(3,), (3, 4, 2), (3, 4, 1, 1), (3, 9), (3, 9, 1), (2, 4)])
def test_elapsed_of_another_shape_is_refused(shape, x):
    with pytest.raises(ValueError, match=r"`elapsed` must have shape .*received shape"):
        LiquidRNN(LiquidCell(5))(x, elapsed=np.ones(shape, "float32"))


LAYERS = {
    "layer": lambda: LiquidRNN(LiquidCell(3)),
    "bidirectional": lambda: Bidirectional(LiquidRNN(LiquidCell(3))),
    "Keras's bidirectional": lambda: keras.layers.Bidirectional(LiquidRNN(LiquidCell(3))),
}


@pytest.mark.parametrize("features", [3, 5])
@pytest.mark.parametrize("layer", LAYERS)
def test_one_feature_too_many_is_no_elapsed_time(layer, features, random):
    model = keras.Sequential([keras.Input((None, 4)), LAYERS[layer]()])
    x = random.random((2, 6, features)).astype("float32")
    with pytest.raises(ValueError, match=rf"built for 4 features; received .*\(.*6, {features}\)"):
        model.predict(x, verbose=0)
    with pytest.raises(ValueError, match="Pass elapsed times as `elapsed`"):
        model(x)


def test_both_directions_refuse_a_feature_too_many_beside_elapsed_times(x, elapsed):
    layer = Bidirectional(LiquidRNN(LiquidCell(3)))
    layer.build((None, None, 3))
    assert layer(x[..., :3], elapsed=elapsed).shape == (3, 6)
    with pytest.raises(ValueError, match="built for 3 features"):
        layer(x, elapsed=elapsed)


@pytest.mark.parametrize("value", [-0.5, np.nan, np.inf])
def test_invalid_elapsed_times_are_refused(value, x, elapsed):
    elapsed[1, 2] = value
    message = rf"`elapsed` must be finite and at least 0; received 1 other values, {value}"
    with pytest.raises(ValueError, match=message):
        LiquidRNN(LiquidCell(5))(x, elapsed=elapsed)
    with pytest.raises(ValueError, match=message):
        timed = LiquidRNN(CfCCell(5, elapsed="last_feature"))
        timed(np.concatenate([x, elapsed[..., None]], axis=-1))
    with pytest.raises(ValueError, match="`elapsed` must be finite"):
        LiquidCell(5)(x[:, 0], [np.zeros((3, 5))], elapsed=value)


@pytest.mark.parametrize("value", ["1.5", None, object(), [None], np.array(["1"]), {}])
def test_elapsed_times_that_are_not_numbers_are_refused(value):
    message = "`elapsed` must be a number or a numeric tensor; received"
    with pytest.raises(ValueError, match=message):
        elapsed_time.require_valid(value)


def test_a_cell_refuses_an_elapsed_time_that_is_not_a_number(x):
    with pytest.raises(ValueError, match="`elapsed` must be a number or a numeric tensor"):
        LiquidCell(5)(x[:, 0], [np.zeros((3, 5))], elapsed="1.5")


@pytest.mark.parametrize("value", [1, 0.5, [0.5, 1.0], np.float32(2.0), np.arange(3)])
def test_numbers_are_valid_elapsed_times(value):
    elapsed_time.require_valid(value)
    elapsed_time.require_valid(keras.ops.cast(np.atleast_1d(value), "bfloat16"))
    elapsed_time.require_valid(keras.Variable(value, trainable=False))


def test_elapsed_times_without_values_pass(x, elapsed):
    """A tensor that is being traced has no values to check."""
    cell, h = LiquidCell(5), np.zeros((3, 5), "float32")
    expected, _ = cell(x[:, 0], [h], elapsed=elapsed[:, 0])
    step = compiled(lambda elapsed: cell(x[:, 0], [h], elapsed=elapsed)[0])
    same(step(keras.ops.convert_to_tensor(elapsed[:, 0])), expected)
    elapsed_time.require_valid(keras.Input((4,)))


def test_timestamps():
    stamps = np.array([[1.7e9, 1.7e9 + 0.5, 1.7e9 + 2.0]])
    np.testing.assert_allclose(elapsed_time.from_timestamps(stamps), [[0, 0.5, 1.5]])
    np.testing.assert_allclose(elapsed_time.from_timestamps(stamps, first=1), [[1, 0.5, 1.5]])
    with pytest.raises(ValueError, match=r"must not decrease.*fall from 5 to 2 after index \(1,\)"):
        elapsed_time.from_timestamps([0, 5, 2])
    with pytest.raises(ValueError, match="must be finite"):
        elapsed_time.from_timestamps([0, np.nan])


@pytest.mark.parametrize(
    ("timestamps", "expected"),
    [
        (np.array([10, 20, 250], "uint8"), [0, 10, 230]),
        (np.array([-100, 100], "int8"), [0, 200]),
        ([-(2**63), 2**63 - 1], [0, 2.0**64]),
        (np.array([0.0, 2.5], "float16"), [0, 2.5]),
        (np.array(["2026-01-01", "2026-01-02"], "datetime64[D]"), [0, 86_400]),
        (np.array([0, 1500], "timedelta64[ms]"), [0, 1.5]),
        ([datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 1, 0, 1)], [0, 60]),
        ([datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)], [0, 86_400]),
        (np.zeros((2, 0)), np.zeros((2, 0))),
    ],
)
def test_timestamps_of_every_type(timestamps, expected):
    np.testing.assert_array_equal(elapsed_time.from_timestamps(timestamps), expected)


def test_timestamps_of_pandas():
    pandas = pytest.importorskip("pandas")
    hours = pandas.date_range("2026-01-01", periods=3, freq="h")
    for stamps in (hours, pandas.Series(hours), hours.tz_localize("Europe/Berlin")):
        np.testing.assert_array_equal(elapsed_time.from_timestamps(stamps), [0, 3600, 3600])
        np.testing.assert_array_equal(elapsed_time.from_timestamps(stamps, unit="h"), [0, 1, 1])
    np.testing.assert_array_equal(elapsed_time.from_timestamps(pandas.Series([1, 2, 4])), [0, 1, 2])
    for missing in ([hours[0], pandas.NaT], pandas.Series([1, None], dtype="Int64")):
        with pytest.raises(ValueError, match="`timestamps` must be finite"):
            elapsed_time.from_timestamps(missing)


@pytest.mark.parametrize(
    ("timestamps", "options", "message"),
    [
        (np.array([10, 5, 20], "uint32"), {}, r"fall from 10 to 5 after index \(0,\)"),
        (np.array([250, 5], "uint8"), {}, "fall from 250 to 5"),
        (np.array(["2026-01-02", "2026-01-01"], "datetime64[D]"), {}, "fall from 2026-01-02 to"),
        (np.array(["2026-01-01", "NaT"], "datetime64[D]"), {}, "a missing value"),
        (["1", "2"], {}, "must be numbers or dates; received values of type <U1"),
        ([True, False], {}, "must be numbers or dates; received values of type bool"),
        (3.0, {}, "must have a time axis"),
        ([1, 2], {"unit": "h"}, "`unit` is for dates"),
        (np.zeros(2, "datetime64[s]"), {"unit": "y"}, "Unknown unit 'y'; allowed: D, W"),
        ([1, 2], {"first": -1}, "`first` must be a finite number of at least 0; received -1"),
        ([0, 1e300], {}, "below 3.4e38"),
    ],
)
def test_bad_timestamps_are_named(timestamps, options, message):
    with pytest.raises(ValueError, match=message):
        elapsed_time.from_timestamps(timestamps, **options)


def test_the_module_lists_its_public_names_only():
    names = dir(elapsed_time)
    assert {"LAST_FEATURE", "append", "backwards", "from_timestamps", "split"} <= set(names)
    for name in names:
        value = getattr(elapsed_time, name)
        assert not isinstance(value, types.ModuleType)
        if callable(value):
            assert value.__module__ == elapsed_time.__name__
