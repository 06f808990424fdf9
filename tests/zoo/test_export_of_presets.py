"""Bundled presets as proof of steps of the export: trained weights on recorded data."""

import pytest

import export
import zoo
from export import recipes, targets
from export.calibration import closed_loop_samples
from export.convert import convert
from export.tflite_file import rewrite

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")


def test_narrowed_ranges_bring_a_trained_model_closer_to_keras(monkeypatch):
    model, samples = zoo.load("half-cheetah-micro"), zoo.samples("half-cheetah-micro")
    step = export.to_step(model, fold_scaling=True)
    sequences = export.as_sequences(step, samples["calibration"][:2])
    calibration = closed_loop_samples(step, sequences)
    errors = []
    for narrow in (rewrite.narrow_ranges, lambda *arguments: None):
        monkeypatch.setattr(rewrite, "narrow_ranges", narrow)
        content = convert(step, recipes.get("int8"), targets.get("micro"), calibration)
        report = export.verify(model, content, samples["inputs"], steps=150)
        errors.append(report.results[1].output_error)
    assert errors[0] < 0.9 * errors[1]
