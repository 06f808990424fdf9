"""A user's first export: a briefly trained window model on a real series, without preparation."""

import csv
import os
from pathlib import Path

import keras
import numpy as np
import pytest

import export
from lnn_keras import LiquidCell, LiquidRNN

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers
WINDOW = 24
FEATURES = ("HUFL", "HULL", "MUFL", "MULL", "LUFL")


@pytest.fixture(scope="module")
def windows(real_data):
    """Five loads of a transformer over 24 hours, and the oil temperature of the next hour."""
    path = Path(os.environ["LNN_DATA_DIR"]) / "etth1/ETTh1.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))[:6000]
    loads = np.array([[float(row[name]) for name in FEATURES] for row in rows], "float32")
    oil = np.array([float(row["OT"]) for row in rows], "float32")
    starts = np.arange(0, len(rows) - WINDOW, 3)
    x = np.stack([loads[s : s + WINDOW] for s in starts])
    return x, oil[starts + WINDOW, None]


def build(windows, normalize):
    x, y = windows
    inner = [LiquidRNN(LiquidCell(16)), layers.Dense(1)]
    if normalize:
        first, last = layers.Normalization(), layers.Normalization(axis=None, invert=True)
        first.adapt(x)
        last.adapt(y)
        inner = [first, *inner, last]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((WINDOW, len(FEATURES))), *inner])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(x[:1500], y[:1500], epochs=3, batch_size=50, verbose=0)
    return model


@pytest.mark.slow
def test_a_model_of_raw_values_names_a_remedy_that_helps(windows, tmp_path):
    """Raw features, raw targets, three epochs: the model hardly varies, and 8 bits do not fit."""
    x, _ = windows
    model = build(windows, False)
    with pytest.raises(export.VerificationError) as raised:
        export.to_tflite(model, tmp_path / "raw", calibration=x[::10])
    remedy = raised.value.report.remedies[0]
    recipe = "int16x8" if "recipe 'int16x8'" in remedy else "int8"
    if recipe == "int8":
        assert "keras.layers.Normalization" in remedy
        model = build(windows, True)
    report = export.to_tflite(model, tmp_path / "mended", recipe=recipe, calibration=x[::10])
    assert report.passed


@pytest.mark.slow
def test_calibration_data_that_do_not_cover_the_evaluation_are_named(windows, tmp_path):
    """A quarter of a year for calibration, another season for evaluation."""
    x, y = windows
    model = build(windows, True)
    evaluation = x[1500:1700], y[1500:1700]
    with pytest.raises(export.VerificationError) as raised:
        export.to_tflite(model, tmp_path / "out", calibration=x[:200], evaluation=evaluation)
    assert raised.value.report.remedies[0].startswith("Give calibration data that cover")
    report = export.to_tflite(model, tmp_path / "out", calibration=x[::5], evaluation=evaluation)
    assert report.passed
