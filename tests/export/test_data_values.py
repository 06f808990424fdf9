"""Values of the user's data: finite in the model's type and after scaling; elapsed times from 0."""

import keras
import numpy as np
import pytest

import lnn_keras
from export import as_sequences, to_step
from export.evaluation_data import require_finite_targets
from lnn_keras import LiquidCell, LiquidRNN

L = keras.layers
X = np.ones((2, 5, 3))


def timed(scale=None, op=None, cell=None):
    """A model with an input of elapsed times, scaled by a layer or an operation."""
    x, t = keras.Input((None, 3), name="x"), keras.Input((None,), name="t")
    elapsed = t if scale is None else L.Rescaling(scale)(t)
    elapsed = elapsed if op is None else elapsed * op
    return keras.Model(
        [x, t], LiquidRNN(cell or LiquidCell(2), return_sequences=True)(x, elapsed=elapsed)
    )


@pytest.mark.parametrize("options", [{}, {"scale": 0.1}, {"op": 0.1}, {"scale": 2.0, "op": 3.0}])
def test_elapsed_times_below_0_are_refused(options):
    step = to_step(timed(**options))
    t = np.ones((2, 5))
    assert as_sequences(step, {"x": X, "t": t * 0})["t"].shape == (2, 5, 1)
    t[1, 3] = -1e-9
    with pytest.raises(ValueError, match=r"input 't': elapsed times.*\(batch, time\) \(1, 3\)"):
        as_sequences(step, {"x": X, "t": t})


def test_elapsed_times_as_the_last_feature():
    cell = LiquidCell(2, elapsed=lnn_keras.elapsed.LAST_FEATURE)
    model = keras.Sequential([keras.Input((None, 3), name="x"), LiquidRNN(cell)])
    step = to_step(model)
    features = -X
    features[..., -1] = 0.5
    as_sequences(step, features)
    features[0, 2, 2] = -0.5
    with pytest.raises(ValueError, match=r"elapsed times must be at least 0; 1 are not.*\(0, 2\)"):
        as_sequences(step, features)


def test_inputs_that_are_no_elapsed_times_may_be_negative():
    """A negative factor makes times of negative values; sums of inputs are not traced back."""
    x, t = keras.Input((None, 3), name="x"), keras.Input((None,), name="t")
    layer = LiquidRNN(LiquidCell(2), return_sequences=True)
    for elapsed in (L.Rescaling(-1.0)(t), L.Rescaling(1.0, offset=5.0)(t), keras.ops.abs(t)):
        step = to_step(keras.Model([x, t], layer(x, elapsed=elapsed)))
        as_sequences(step, {"x": -X, "t": -np.ones((2, 5))})


@pytest.mark.parametrize("value", [1e39, -1e300, np.float64(3.5e38)])
def test_values_must_fit_in_float32(value):
    model = keras.Sequential([keras.Input((None, 3), name="x"), L.GRU(2)])
    data = X.copy()
    data[1, 2, 0] = value
    with pytest.raises(ValueError, match=r"must fit in float32.*feature\) \(1, 2, 0\): "):
        as_sequences(to_step(model), data)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_values_must_fit_in_integers(dtype):
    x = keras.Input((None, 3), name="x", dtype=dtype)
    step = to_step(keras.Model(x, L.GRU(2)(L.Rescaling(1 / 255)(x))))
    as_sequences(step, X * 200)
    for value in (-1 if dtype == "uint8" else -1e10, 1e12):
        with pytest.raises(ValueError, match=f"must fit in {dtype}"):
            as_sequences(step, np.where(X, value, 0))


def test_values_must_be_finite_after_scaling():
    model = keras.Sequential(
        [keras.Input((None, 3), name="x"), L.Normalization(mean=0.0, variance=1e-12), L.GRU(2)]
    )
    step = to_step(model, fold_scaling=True)
    as_sequences(step, X)
    with pytest.raises(ValueError, match="takes beyond float32"):
        as_sequences(step, X * 1e35)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([[1.0, np.nan]], r"1 values are not.*\(0, 1\)"),
        ([[1e39]], r"finite in float32"),
        ([["a"]], "must be numbers"),
        ([[None]], "must be numbers"),
    ],
)
def test_true_outputs_are_finite_numbers(values, match):
    with pytest.raises(ValueError, match=match):
        require_finite_targets(np.array(values))
