"""The report of a long rollout: as data, as JSON, in the terminal, as a page."""

import gzip
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from export_models import reset_names_and_seeds, sequential

import export

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


class Page(HTMLParser):
    """Counts tags, and raises if one is not closed."""

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


def test_page(long_rollout):
    report, folder = long_rollout
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert page.counts["svg"] == 2
    assert page.counts["polyline"] == page.counts["rect"] == 3
    assert "a&gt;b: int8 for micro" in text and "a>b" not in text
    for result in report.results:
        assert result.name in text
    # It opens without a network.
    assert "http" not in text and "<script" not in text


def test_clean_terminal_of_80_columns(long_rollout, capsys):
    from rich.console import Console

    report, _ = long_rollout
    report.print(Console(width=80))
    lines = capsys.readouterr().out.splitlines()
    assert "LiteRT (built-in)" in "".join(lines)
    assert max(len(line) for line in lines if "/" not in line) <= 80
