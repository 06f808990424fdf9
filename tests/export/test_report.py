"""The report of a long rollout: as data, as JSON, in the terminal, as a page."""

import gzip
import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import keras
import numpy as np
import pytest
from export_models import reset_names_and_seeds, sequential

import export
from export.verification.provenance import PACKAGES
from export.verification.report import RuntimeResult, Signal, percent, signals

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")


@pytest.fixture(scope="module")
def long_rollout(tmp_path_factory):
    """A report over 1,000 closed-loop steps, and its folder."""
    reset_names_and_seeds()
    random = np.random.default_rng(0)
    inputs = random.uniform(-1.5, 1.5, (2, 600, 3)).astype("float32")
    folder = tmp_path_factory.mktemp("report") / "out"
    model = sequential("gru", name="a>b")
    return export.to_tflite(model, folder, calibration=inputs[:, :300], evaluation=inputs), folder


def test_report_says_what_the_file_costs(long_rollout):
    report, folder = long_rollout
    content = (folder / "model.tflite").read_bytes()
    assert report.steps == 1000
    assert report.gzip_bytes == len(gzip.compress(content, 9, mtime=0)) < report.bytes
    # GRU: 3 gates from 3 inputs and 6 states; the readout.
    assert report.multiply_accumulates == 3 * 6 * (3 + 6) + 6 * 2
    assert report.warnings == ()
    saved = json.loads((folder / "report.json").read_text())
    for result in saved["results"][1:]:
        curve = np.array(result["error_curve"])
        assert len(curve) == 500
        assert np.sqrt(np.mean(curve**2)) == pytest.approx(result["output_error"], rel=0.2)
        assert result["worst_error"] >= curve.max()
        assert curve[result["worst_step"] // 2] >= result["worst_error"] / np.sqrt(2)


def test_report_says_where_it_comes_from(long_rollout):
    report, folder = long_rollout
    content = (folder / "model.tflite").read_bytes()
    saved = json.loads((folder / "report.json").read_text())
    assert saved["file_sha256"] == hashlib.sha256(content).hexdigest()
    assert saved["model_sha256"] == report.model_sha256 and len(report.model_sha256) == 64
    assert saved["versions"]["keras"] == keras.__version__
    assert set(saved["versions"]) == {"python", *PACKAGES}
    date = datetime.fromisoformat(saved["date"])
    assert date.utcoffset() == timedelta(0)
    assert timedelta(0) <= datetime.now(timezone.utc) - date < timedelta(hours=1)


@pytest.mark.parametrize("width", [40, 50, 60, 80])
@pytest.mark.parametrize("is_terminal", [False, True])
def test_clean_terminal(long_rollout, capsys, width, is_terminal):
    """Names and numbers stay whole; a pipe gets the table even if it is wider."""
    from rich.console import Console

    report, _ = long_rollout
    report.print(Console(width=width, force_terminal=is_terminal, color_system=None))
    output = capsys.readouterr().out
    lines = output.splitlines()
    assert "…" not in output
    assert all(name in output for name in ("TFLite Micro", "LiteRT (built-in)"))
    assert all(percent(result.output_error) in output for result in report.results[1:])
    if is_terminal or width > 60:
        assert max(len(line) for line in lines if "/" not in line) <= width


def test_brackets_in_sentences_are_printed(long_rollout, capsys):
    from rich.console import Console

    report, _ = long_rollout
    failed = replace(report, failures=("a [b] c.",), remedies=("d [red] e.",), warnings=("[f]",))
    failed.print(Console(width=80))
    printed = capsys.readouterr().out
    assert "a [b] c." in printed and "- d [red] e." in printed and "[f]" in printed


def test_json_has_no_numbers_that_json_lacks(long_rollout, tmp_path):
    """A file that computes NaN still leaves a report that any program can read."""
    report, _ = long_rollout
    broken = RuntimeResult("LiteRT", output_error=float("nan"), error_curve=(1.0, float("inf")))
    signal = Signal("output", keras=(1.0,), file=(float("nan"),))
    replace(report, results=(broken,), signals=(signal,)).save(tmp_path / "report.json")

    def refuse(constant):
        raise AssertionError(constant)

    saved = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    assert saved["results"][0]["output_error"] is None
    assert saved["results"][0]["error_curve"] == [1.0, None]
    assert saved["signals"][0]["file"] == [None]


def test_an_export_replaces_one_with_an_older_report(tmp_path, signal):
    """Reports before versions and digests were recorded."""
    model = sequential("gru")
    export.to_tflite(model, tmp_path / "out", recipe="float32", calibration=signal, steps=20)
    path = tmp_path / "out/report.json"
    older = json.loads(path.read_text())
    for name in ("versions", "date", "file_sha256", "model_sha256", "remedies", "signals"):
        del older[name]
    path.write_text(json.dumps(older))
    export.to_tflite(model, tmp_path / "out", recipe="float32", calibration=signal, steps=20)
    assert json.loads(path.read_text())["file_sha256"]


def test_signals_of_a_sequence_with_one_true_output():
    """Keras has each step of a single sequence; the true output is that of its last step."""
    values = {"output": np.arange(6.0)[:, None]}
    (signal,) = signals(values, values, np.ones((1, 1)))
    assert signal.keras == signal.file == tuple(range(6)) and signal.true == ()
    (signal,) = signals(values, {}, np.ones((6, 1)))
    assert signal.file == () and signal.true == (1.0,) * 6
