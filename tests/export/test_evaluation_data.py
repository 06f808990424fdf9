"""Evaluation data that do not fit the model are refused before a file is converted."""

import keras
import numpy as np
import pytest

import export
from export import pipeline

layers = keras.layers
INPUTS = np.ones((4, 6, 2))
EACH_STEP = layers.GRU, {"units": 3, "return_sequences": True}
LAST_STEP = layers.GRU, {"units": 3}
NO_STEP_FORM = layers.Bidirectional, {"layer": layers.GRU(2)}


@pytest.mark.parametrize(
    ("layer", "evaluation", "message"),
    [
        (EACH_STEP, np.ones((4, 6, 3)), "`evaluation` for input 'input' must have shape"),
        (EACH_STEP, (INPUTS, np.ones((4, 3))), r"shape \(4, 6, 3\).*received \(4, 3\)"),
        (EACH_STEP, (INPUTS, np.ones((5, 6, 3))), r"shape \(4, 6, 3\).*received \(5, 6, 3\)"),
        (LAST_STEP, (INPUTS, np.ones((4, 6, 3))), r"shape \(4, 3\).*received \(4, 6, 3\)"),
        (LAST_STEP, (INPUTS, INPUTS, INPUTS), "received a tuple of 3"),
        (NO_STEP_FORM, (INPUTS, np.ones((4, 3))), r"shape \(4, 4\).*received \(4, 3\)"),
    ],
)
def test_before_any_work(layer, evaluation, message, monkeypatch, tmp_path):
    monkeypatch.setattr(pipeline, "convert", None)
    kind, options = layer
    model = keras.Sequential([keras.Input((None, 2)), kind(**options)])
    with pytest.raises(ValueError, match=message):
        export.to_tflite(
            model, tmp_path / "out", target="phone", recipe="float32", evaluation=evaluation
        )
    assert list(tmp_path.iterdir()) == []
