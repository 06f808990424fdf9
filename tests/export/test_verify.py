"""Verification: what it measures, what it notices, what it warns of, and the page it writes."""

import errno
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import keras
import numpy as np
import pytest

import export
from export import recipes, targets
from export.convert import convert
from export.data import noise
from export.verification import error_metrics
from lnn_keras import LiquidCell, LiquidRNN

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers


@pytest.fixture
def data(random):
    """A slow signal with noise, as sensors give: (sequences, time, features)."""
    time = np.arange(150)[None, :, None] / 9 + random.random((4, 1, 3)) * 6
    return (np.sin(time) + 0.1 * random.standard_normal((4, 150, 3))).astype("float32")


def make_model(*head, every_step=True, batch=None, name="gru"):
    x = keras.Input((None, 3), batch_size=batch, name="x")
    gru = layers.GRU(8, return_sequences=every_step, stateful=batch is not None)
    return keras.Sequential([x, *head, gru, layers.Dense(2)], name=name)


def test_errors_of_steps():
    reference = {"y": np.array([[0.0], [2.0], [0.0], [2.0]])}  # a standard deviation of 1
    values = {"y": reference["y"] + [[0.0], [0.3], [0.0], [-0.4]]}
    errors = error_metrics.step_errors(values, reference)
    np.testing.assert_allclose(errors, [0, 0.3, 0, 0.4])
    assert error_metrics.largest_rms(values, reference) == pytest.approx(0.25)
    np.testing.assert_allclose(error_metrics.curve(errors), errors)


def test_a_curve_keeps_the_mean_square():
    errors = np.random.default_rng(0).random(1500)
    curve = error_metrics.curve(errors)
    assert len(curve) == 500
    assert np.mean(np.square(curve)) == pytest.approx(np.mean(errors**2))


def test_a_last_step_is_measured_by_what_all_steps_vary_by(data, random, tmp_path):
    """Its two features are so near each other that beside their distance any error is large."""
    model = make_model(every_step=False)
    kernel = random.standard_normal((8, 1)) * [1, 1.001]
    model.layers[-1].set_weights([kernel, np.zeros(2)])
    folder = tmp_path / "out"
    report = export.to_tflite(model, folder, target="phone", recipe="float16", calibration=data)
    errors = {result.name: result.output_error for result in report.results}
    assert 0 < errors["LiteRT, sequence"] < 10 * errors["LiteRT (XNNPACK)"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    random = np.random.default_rng(0)
    inputs = random.standard_normal((2, 600, 3)).astype("float32")
    folder = tmp_path_factory.mktemp("verify") / "out"
    report = export.to_tflite(make_model(name="a>b"), folder, calibration=inputs)
    return report, folder


def test_report_says_what_the_file_costs(exported):
    report, folder = exported
    content = (folder / "model.tflite").read_bytes()
    assert report.steps == 1000
    assert report.gzip_bytes == len(gzip.compress(content, 9, mtime=0)) < report.bytes
    # GRU: 3 gates from 3 inputs and 8 states; the readout.
    assert report.multiply_accumulates == 3 * 8 * (3 + 8) + 8 * 2
    assert report.warnings == ()
    saved = json.loads((folder / "report.json").read_text())
    for result in saved["results"][1:]:
        curve = np.array(result["error_curve"])
        assert len(curve) == 500
        assert np.sqrt(np.mean(curve**2)) == pytest.approx(result["output_error"], rel=0.2)
        assert result["worst_error"] >= curve.max()
        assert curve[result["worst_step"] // 2] >= result["worst_error"] / np.sqrt(2)


class Page(HTMLParser):
    """Counts tags, and raises where one does not end."""

    def __init__(self, text):
        super().__init__()
        self.open, self.counts = [], {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page(exported):
    report, folder = exported
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert page.counts["svg"] == 2
    assert page.counts["polyline"] == page.counts["rect"] == 3
    assert "a&gt;b: int8 for micro" in text and "a>b" not in text
    for result in report.results:
        assert result.name in text
    # It opens without a network.
    assert "http" not in text and "<script" not in text


def test_clean_terminal_of_80_columns(exported, capsys):
    from rich.console import Console

    report, _ = exported
    report.print(Console(width=80))
    lines = capsys.readouterr().out.splitlines()
    assert "LiteRT (built-in)" in "".join(lines)
    assert max(len(line) for line in lines if "/" not in line) <= 80


def test_sequences_of_other_weights_are_noticed(data):
    model, other = make_model(), make_model()
    step = export.to_step(model)
    recipe, phone = recipes.get("float32"), targets.get("phone")
    content = convert(step, recipe, phone, sequence=export.to_sequence(model))
    report = export.verify(model, content, data)
    assert report.passed and report.target == "phone"
    assert report.results[-1].name == "LiteRT, sequence"
    content = convert(step, recipe, phone, sequence=export.to_sequence(other))
    (failure,) = export.verify(model, content, data).failures
    assert failure.startswith("LiteRT, sequence: the outputs' RMS error")


@pytest.mark.parametrize("every_step", [True, False])
def test_predictions_of_a_file(every_step, data):
    model = make_model(layers.Conv1D(4, 3, strides=2, padding="causal"), every_step=every_step)
    content = convert(export.to_step(model), recipes.get("float32"), targets.get("micro"))
    expected = model.predict(data, verbose=0)
    predictions = export.predict_file(content, model, data)
    assert set(predictions) == {"LiteRT (XNNPACK)", "TFLite Micro"}
    for values in predictions.values():
        np.testing.assert_allclose(values, expected, atol=1e-5)
    for error in export.evaluate_file(content, model, data, expected + 2).values():
        assert error == pytest.approx(4, rel=1e-5)
    worst = export.evaluate_file(content, model, data, expected, lambda t, y: np.abs(t - y).max())
    assert max(worst.values()) < 1e-5
    report = export.verify(model, content, data, expected + 2)
    assert report.passed
    first = report.results[0].metric
    assert first == pytest.approx(4, rel=1e-5) if not every_step else first > 0
    with pytest.raises(ValueError, match=r"must have shape \(4, .*received \(4, 7\)"):
        export.verify(model, content, data, np.zeros((4, 7)))


def test_noise_has_no_negative_times_and_the_size_of_the_data(data):
    x, elapsed = keras.Input((None, 3), name="x"), keras.Input((None,), name="elapsed")
    normalize = layers.Normalization()
    normalize.adapt(data * 100 + 1000)
    y = LiquidRNN(LiquidCell(4))(normalize(x), elapsed=elapsed)
    model = keras.Model([x, elapsed], y)
    rows = noise(model, export.to_step(model), 500)
    assert rows["elapsed"].shape == (1, 500, 1) and rows["elapsed"].min() >= 0
    assert rows["x"].mean() == pytest.approx(1000, rel=0.02)


def with_outlier(data):
    data = data.copy()
    data[1, 2, 0] = 1e6
    return data


def with_constant(data):
    data = data.copy()
    data[..., 2] = 3.0
    return data


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (with_outlier, "Feature 0 of input 'x': 98 % of its calibration values .* is 1e\\+06. Rem"),
        (with_constant, "Feature 2 of input 'x' is always 3 in the calibration data"),
        (np.zeros_like, "State 'gru.*_state_0' never leaves its initial value"),
        (np.zeros_like, "Tensor '.*' is constant on all of the calibration data"),
    ],
)
def test_warnings_name_what_calibration_does_not_show(change, named, data, tmp_path):
    try:
        report = export.to_tflite(
            make_model(), tmp_path / "out", calibration=change(data), evaluation=data
        )
    except export.VerificationError as error:
        # On the clean data such a file may well fail; the warnings say why.
        report = error.report
    assert any(re.match(named, warning) for warning in report.warnings)


def test_a_batch_of_stateful_sequences_is_for_phones(data, tmp_path):
    model = make_model(batch=4)
    with pytest.raises(ValueError, match=r"fixed batch of 4 .* target 'micro' runs 1"):
        export.to_tflite(model, tmp_path / "out", recipe="float32", calibration=data)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(data, tmp_path, monkeypatch):
    write = Path.write_text

    def full(self, text):
        if self.name == "report.html":
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return write(self, text)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"Cannot write the folder .*out: No space left on device"):
        export.to_tflite(make_model(), tmp_path / "out", recipe="float32", calibration=data)
    assert list(tmp_path.iterdir()) == []
