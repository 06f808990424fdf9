"""Each runtime against Keras, and exports on a host that lacks one."""

import sys

import numpy as np
import pytest
from export_models import sequential

import export
from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import rollout
from export.verification.error_metrics import relative_rms

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")


@pytest.mark.parametrize("name", ["liquid", "node", "lstm", "gru", "simple", "stacked"])
def test_float32_is_the_model(name, exported):
    report = exported(name, "float32").report
    assert report.passed and report.steps == 120
    assert [result.name for result in report.results] == [
        "Keras",
        "LiteRT (XNNPACK)",
        "LiteRT (built-in)",
        "TFLite Micro",
    ]
    assert max(result.output_error for result in report.results) < 1e-5
    assert report.disagreement < 1e-5


def test_micro_equals_micro_bit_for_bit(exported, mixed_units):
    content = exported("liquid", "float32").content
    runs = [rollout(Micro(content), {"x": mixed_units[:1]}) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].outputs["output"], runs[1].outputs["output"])
    lite = rollout(LiteRT(content), {"x": mixed_units[:1]})
    reference = runs[0].outputs["output"]
    assert relative_rms(lite.outputs["output"][0], reference[0]) < 1e-5


def test_without_the_micro_wheel_the_report_says_so(signal, tmp_path, monkeypatch):
    def missing(self, content):
        raise ImportError

    monkeypatch.setattr(Micro, "__init__", missing)
    report = export.to_tflite(sequential("simple"), tmp_path / "out", calibration=signal)
    assert report.passed and report.arena_bytes is None
    assert report.results[3].note == "not run: no wheel for this platform"
    assert "not measured" in (tmp_path / "out/lnn_model.h").read_text()


def test_without_litert_tensorflow_takes_its_place(signal, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    report = export.to_tflite(
        sequential("simple"), tmp_path / "out", recipe="float32", calibration=signal[:1]
    )
    assert report.passed and report.results[1].name == "TensorFlow Lite (XNNPACK)"
