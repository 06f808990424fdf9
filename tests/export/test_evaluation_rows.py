"""Which rows a file is verified on, and remarks about the data that it is calibrated on."""

import keras
import numpy as np
import pytest

from export import to_step
from export.calibration import _feature_warning
from export.data import verification_sequences
from export.remedies import _coverage


@pytest.fixture(scope="module")
def step():
    """A model of any number of steps."""
    return to_step(
        keras.Sequential([keras.Input((None, 2)), keras.layers.GRU(2, return_sequences=True)])
    )


@pytest.mark.parametrize(
    ("steps", "reset", "shape"),
    [
        (None, False, (1, 30, 2)),
        (25, False, (1, 25, 2)),
        (None, True, (3, 10, 2)),
        (25, True, (2, 10, 2)),
        (7, True, (1, 7, 2)),
    ],
)
def test_states_run_on_unless_the_device_resets_them(step, steps, reset, shape):
    (name,) = step.inputs
    rows = np.arange(60, dtype="float32").reshape(3, 10, 2)
    (chosen,) = verification_sequences(step, {name: rows}, steps, reset).values()
    assert chosen.shape == shape
    np.testing.assert_array_equal(np.ravel(chosen), np.ravel(rows)[: chosen.size])


def test_coverage_of_elapsed_times():
    """They have no axis of features."""
    known = {"elapsed": np.ones((2, 64))}
    assert not list(_coverage(known, {"elapsed": np.ones((1, 100))}))
    (sentence,) = _coverage(known, {"elapsed": np.full((1, 100), 9.0)})
    assert "100 % of the values of input 'elapsed' lie outside" in sentence


def test_a_rare_category_is_no_outlier():
    values = np.zeros(1000)
    values[7] = 1
    assert _feature_warning("row", 0, values, 0.05) is None
    assert "Remove outliers" in _feature_warning("row", 0, values, 2.0)
    assert "Remove outliers" in _feature_warning(
        "row", 0, np.append(np.arange(1000) / 1e3, 80), 0.3
    )
