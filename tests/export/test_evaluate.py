"""Predictions and metrics of a file, each sequence from its initial state."""

import keras
import numpy as np
import pytest

import export
from export import recipes, targets
from export.convert import convert

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers
RUNTIMES = {"LiteRT (XNNPACK)", "TFLite Micro"}


@pytest.mark.parametrize("recipe", ["int8", "float32"])
def test_sequences_start_from_their_initial_state(recipe, exported, mixed_units):
    model, content = exported("gru", recipe).model, exported("gru", recipe).content
    deviation = mixed_units.std(axis=(0, 1))
    shifted = model(mixed_units) + deviation
    metrics = export.evaluate_file(
        content, model, mixed_units, shifted, lambda t, y: np.mean(((t - y) / deviation) ** 2)
    )
    assert set(metrics) == RUNTIMES
    for value in metrics.values():
        assert value == pytest.approx(1.0, abs=1e-4 if recipe == "float32" else 0.05)


@pytest.mark.parametrize("every_step", [True, False])
def test_predictions_of_a_file(every_step, signal):
    model = keras.Sequential(
        [
            keras.Input((None, 3), name="x"),
            layers.Conv1D(4, 3, strides=2, padding="causal"),
            layers.GRU(6, return_sequences=every_step),
            layers.Dense(2),
        ]
    )
    content = convert(export.to_step(model), recipes.get("float32"), targets.get("micro"))
    expected = keras.ops.convert_to_numpy(model(signal))
    predictions = export.predict_file(content, model, signal)
    assert set(predictions) == RUNTIMES
    for values in predictions.values():
        np.testing.assert_allclose(values, expected, atol=1e-5)
    for error in export.evaluate_file(content, model, signal, expected + 2).values():
        assert error == pytest.approx(4, rel=1e-5)
    worst = export.evaluate_file(content, model, signal, expected, lambda t, y: np.abs(t - y).max())
    assert max(worst.values()) < 1e-5
    report = export.verify(model, content, signal, expected + 2)
    assert report.passed
    first = report.results[0].metric
    assert first == pytest.approx(4, rel=1e-5) if not every_step else first > 0
    with pytest.raises(ValueError, match=r"must have shape \(3, .*received \(3, 7\)"):
        export.verify(model, content, signal, np.zeros((3, 7)))
