"""report.html: plots, colours of both schemes, and its width on a phone."""

import itertools
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks import report_picture
from export.tflite_file.layout import TensorLayout
from export.verification import report_plots
from export.verification.report import Report, RuntimeResult, Signal
from export.verification.report_html import STYLE, report_page

PHONE = 390  # px
STEPS = 200


def result(name, error=0.01, **options):
    curve = tuple(error * (1 + 0.5 * np.sin(np.arange(STEPS))))
    options = {"latency_p50": 12.0, "latency_p99": 40.0, "worst_step": 3} | options
    return RuntimeResult(name, output_error=error, state_error=error, error_curve=curve, **options)


def signal(name, rows=STEPS, scale=1.0, true=True):
    keras = scale * np.sin(np.arange(rows) / 9)
    return Signal(name, tuple(keras), tuple(1.01 * keras), tuple(1.1 * keras) if true else ())


REPORT = Report(
    model="a>b",
    target="micro",
    recipe="int8",
    steps=STEPS,
    inputs="the given data",
    parameters=100,
    bytes=5000,
    gzip_bytes=3000,
    multiply_accumulates=80,
    arena_bytes=2000,
    operations={"FULLY_CONNECTED": 3, "ADD": 1},
    results=(
        RuntimeResult("Keras", latency_p50=80.0, latency_p99=90.0),
        *map(result, ("LiteRT (XNNPACK)", "LiteRT (built-in)", "TFLite Micro")),
    ),
    disagreement=0.001,
    tolerance=0.05,
    signals=(signal("output[0]"), signal("output[1]", scale=1e-5)),
    layout=(TensorLayout("x" * 60, "input", 0, None, 3, "int8", 0, (0.1,), (0.0,)),),
    versions={"python": "3.11.7", "tflite-micro": ""},
    date="2026-11-26T15:00:00+00:00",
    file_sha256="1" * 64,
    model_sha256="2" * 64,
)
FAILED = replace(
    REPORT, failures=("Off by <5 %.",), remedies=("Use int16x8.",), warnings=("One > two.",)
)


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


def test_a_panel_per_feature_shows_keras_the_file_and_the_true_values():
    page = Page(report_page(REPORT))
    # Two features, errors, latencies.
    assert page.counts["figure"] == page.counts["svg"] == 4
    first, second = report_plots.signal_plots(REPORT)
    for plot, name in ((first, "output[0]"), (second, "output[1]")):
        assert f"<figcaption>{name}</figcaption>" in plot
        for kind in ("keras", "file", "true"):
            (points,) = re.findall(rf'<polyline class="{kind}" points="(.*?)"', plot)
            assert len(points.split()) == report_plots.SIGNAL_POINTS
        for label in ("Keras", "file", "true"):
            assert f">{label}</text>" in plot
    without = replace(REPORT, signals=(signal("output", true=False),))
    assert ">true<" not in report_page(without) and ">file<" in report_page(without)
    no_file = replace(REPORT, signals=(Signal("output", (1.0, 2.0), ()),))
    assert 'class="file"' not in report_plots.signal_plots(no_file)[0]


def test_what_a_report_says_is_on_the_page_and_escaped():
    text = report_page(FAILED)
    Page(text)
    assert "a&gt;b: int8 for micro" in text and "a>b" not in text
    for sentence in ("Off by &lt;5 %.", "Use int16x8.", "One &gt; two.", "python 3.11.7", "1" * 64):
        assert sentence in text
    assert "tflite-micro" not in text  # not installed
    # It opens without a network.
    assert "http" not in text and "<script" not in text and "url(" not in text


def test_a_report_without_any_measurement_makes_a_page():
    """An old report, or one of a file that no runtime accepts."""
    bare = replace(
        REPORT,
        results=(RuntimeResult("Keras"), RuntimeResult("TFLite Micro", note="rejects the file")),
        signals=(),
        layout=(),
        versions={},
        date="",
        file_sha256="",
        model_sha256="",
    )
    text = report_page(bare)
    assert "figure" not in Page(text).counts and "Origin" not in text
    assert "rejects the file" in text


def test_values_that_are_not_finite_are_gaps():
    nan = float("nan")
    values = (1.0, 2.0, nan, 4.0, 5.0, nan)
    (plot,) = report_plots.signal_plots(replace(REPORT, signals=(Signal("y", values, (nan,) * 6),)))
    runs = re.findall(r'<polyline class="keras" points="(.*?)"', plot)
    assert [len(run.split()) for run in runs] == [2, 2]
    assert "nan" not in plot
    broken = replace(REPORT, results=(REPORT.results[0], RuntimeResult("a", error_curve=values)))
    assert "nan" not in report_plots.error_plot(broken)


@pytest.mark.parametrize(
    ("low", "high"),
    [(-1, 1), (292.8, 293.2), (101_228, 101_484), (0, 1e-7), (-3e9, 4e9), (0.5, 0.50001), (-7, -6)],
)
def test_tick_labels_tell_the_ticks_apart(low, high):
    values = tuple(np.linspace(low, high, 50))
    (plot,) = report_plots.signal_plots(replace(REPORT, signals=(Signal("y", values, values),)))
    labels = re.findall(r'text-anchor="end">([^<]*)</text>', plot)[:-1]  # the last is the axis's
    assert 3 <= len(labels) == len(set(labels))
    numbers = [float(label.replace(",", "")) for label in labels]
    assert numbers == sorted(numbers)
    slack = (high - low) / 1000
    assert low - slack <= numbers[0] and numbers[-1] <= high + slack
    # A character takes 7 px.
    assert max(map(len, labels)) * 7 <= report_plots.LEFT


def test_the_axis_counts_sequences_where_each_has_one_output():
    windows = replace(REPORT, signals=(signal("output", rows=20),))
    (plot,) = report_plots.signal_plots(windows)
    assert ">sequence</text>" in plot and ">20</text>" in plot
    assert "All 20 sequences." in report_page(windows)
    assert "The first 120 steps." in report_page(REPORT)


def scheme(css, name):
    """The colours of the light or the dark scheme, by name."""
    light, dark = re.findall(r":root \{(.*?)\}", css, re.S)
    return dict(re.findall(r"--(\w+): (#\w{6});", light if name == "light" else dark))


def luminance(colour):
    """Relative luminance as WCAG 2.1 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("name", ["light", "dark"])
def test_every_colour_has_contrast_to_the_paper(name):
    colours = scheme(STYLE, name)
    assert set(colours) == set(scheme(STYLE, "light"))
    paper = luminance(colours.pop("paper"))
    assert len(colours) >= 6
    for colour in colours.values():
        dark, light = sorted((paper, luminance(colour)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, colour


def test_the_page_has_no_other_colours():
    text = report_page(FAILED)
    rules = re.sub(r":root \{.*?\}", "", text, flags=re.S)
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl|opacity", rules)
    used = set(re.findall(r"var\(--(\w+)\)", rules))
    assert used == set(scheme(STYLE, "light"))
    for declared in re.findall(r"(?:color|background|fill|stroke): ([^;]+);", rules):
        assert declared == "none" or declared.startswith("var(--") or "dark" in declared


def test_lines_differ_without_colour():
    """By dashes or by width, within each plot."""
    rules = dict(re.findall(r"svg \.(\w+) \{ ([^}]*stroke-width[^}]*) \}", STYLE))
    for kinds in (report_plots.SIGNAL_LINES.values(), report_plots.RUNTIME_LINES):
        looks = [re.sub(r"stroke: [^;]*;", "", rules[kind]).strip() for kind in kinds]
        for first, second in itertools.combinations(looks, 2):
            assert first != second
        dashed = [look for look in looks if "dasharray" in look]
        assert len(dashed) == len(looks) - 1


def test_text_of_plots_is_large_enough_on_a_phone():
    margin = 16 * 2
    scale = (PHONE - margin) / report_plots.WIDTH
    size = int(re.search(r"svg text \{ font: (\d+)px", STYLE).group(1))
    assert size * scale >= 11
    # Two plots stand in a row on wide screens.
    assert 2 * report_plots.WIDTH <= 46 * 16


def test_tables_scroll_in_their_own_box_and_nothing_else_is_wide():
    text = report_page(FAILED)
    assert text.count("<table") == text.count('<div class="scroll" tabindex="0"><table') == 2
    assert ".scroll { overflow-x: auto; }" in STYLE and "overflow-wrap: anywhere" in STYLE
    widths = re.findall(r"(?<!max-)(?<!stroke-)(?<!min-)width: (\S+?);", STYLE)
    assert set(widths) == {"100%"}


def test_marks_lie_within_their_plot():
    text = report_page(REPORT)
    for width, height, content in re.findall(
        r'<svg viewBox="0 0 (\d+) (\d+)".*?>(.*?)</svg>', text, re.S
    ):
        for x in re.findall(r' (?:x|x1|x2)="(.*?)"', content):
            assert 0 <= float(x) <= int(width)
        for y in re.findall(r' (?:y|y1|y2)="(.*?)"', content):
            assert 0 <= float(y) <= int(height)
        for points in re.findall(r'points="(.*?)"', content):
            for point in points.split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= int(width) and 0 <= y <= int(height)
        assert math.isfinite(float(height))


def test_readme_shows_plots_of_the_present_page():
    """benchmarks/report_picture.py makes the picture of a report; docs/report.svg is one."""
    picture = ElementTree.fromstring(report_picture.standalone(report_page(REPORT)))
    names = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "output[0]" in names and "output[1]" not in names
    assert {"Keras", "true", "TFLite Micro", "tolerance 5 %"} <= set(names)
    shipped = report_picture.PICTURE.read_text("utf-8")
    ElementTree.fromstring(shipped)
    assert STYLE in shipped
