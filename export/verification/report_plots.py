"""The plots of report.html: outputs over time, errors over time, and latencies, as SVG.

A plot is as wide as a phone's screen, so that its text is readable there; wide screens show two
in a row. Lines differ in colour and in dashes.
"""

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise

from export.verification.report import SIGNAL_ROWS, Report, RuntimeResult, Signal, percent

WIDTH, HEIGHT = 352, 200
LEFT, RIGHT, BOTTOM = 60, 8, 36
LEGEND_ROW, LEGEND_COLUMN = 18, 146
TICKS = 6
FLOOR = 1e-9  # errors of 0 have no logarithm
# More points would hide the dashes of a line.
SIGNAL_POINTS, ERROR_POINTS = 120, 100
SIGNAL_LINES = {"Keras": "keras", "file": "file", "true": "true"}  # label and CSS class
RUNTIME_LINES = ("first", "second", "third", "fourth")  # CSS classes
BAR, BAR_ROW = 14, 44


def signal_plots(report: Report) -> list[str]:
    """Return one plot per feature of the outputs: Keras, the file and the true values."""
    return [_signal_plot(signal, output_unit(report)) for signal in report.signals if signal.keras]


def error_plot(report: Report) -> str:
    """Return the error of each runtime on a logarithmic axis, with the tolerance; or ""."""
    curves = {r.name: _averaged(r.error_curve) for r in report.results[1:] if r.error_curve}
    errors = [e for curve in curves.values() for e in curve if math.isfinite(e)]
    if not errors:
        return ""
    errors = [max(error, FLOOR) for error in (*errors, report.tolerance)]
    low = math.floor(math.log10(min(errors)))
    high = max(low + 1, math.ceil(math.log10(max(errors)) + 1e-9))
    top = _top(len(curves) + 1)
    y = _scale(low, high, HEIGHT - BOTTOM, top)
    ticks = range(low, high + 1, max(1, math.ceil((high - low) / TICKS)))
    marks = [_y_tick(y(decade), f"{100 * 10.0**decade:g} %") for decade in ticks]
    lines = dict(zip(curves, RUNTIME_LINES, strict=False))
    tolerance = y(math.log10(report.tolerance))
    marks.append(_line(LEFT, tolerance, WIDTH - RIGHT, tolerance, "tolerance"))
    for name, kind in lines.items():
        curve = curves[name]
        x = _scale(-0.5, len(curve) - 0.5, LEFT, WIDTH - RIGHT)
        logarithms = [math.log10(max(e, FLOOR)) if math.isfinite(e) else e for e in curve]
        marks += _polylines([(x(i), y(e)) for i, e in enumerate(logarithms)], kind)
    marks += _x_axis(output_unit(report), _count(report))
    marks += _legend(lines | {f"tolerance {percent(report.tolerance)}": "tolerance"})
    caption = "RMS error, relative to the outputs' deviation"
    return _figure(caption, marks, HEIGHT)


def latency_plot(report: Report) -> str:
    """Return the median and 99th percentile of each runtime's time per step; or ""."""
    timed = [result for result in report.results[1:] if result.latency_p50]
    if not timed:
        return ""
    longest = max(_p99(result) for result in timed)
    x = _scale(0, longest, 0, WIDTH - RIGHT)
    marks = []
    for index, result in enumerate(timed):
        top = index * BAR_ROW + 16
        median, p99 = result.latency_p50 or 0.0, _p99(result)
        label = f"{result.name}: {median:.0f} µs, 99th percentile {p99:.0f} µs"
        marks += [
            _text(0, top, label, "start"),
            f'<rect x="0" y="{top + 6}" width="{x(median):.1f}" height="{BAR}"/>',
            _line(0, top + 6 + BAR / 2, x(p99), top + 6 + BAR / 2, "axis"),
            _line(x(p99), top + 6, x(p99), top + 6 + BAR, "axis"),
        ]
    caption = "Time per step on the host that verified the file, called from Python"
    return _figure(caption, marks, len(timed) * BAR_ROW)


def _signal_plot(signal: Signal, unit: str) -> str:
    series = {"Keras": signal.keras, "file": signal.file, "true": signal.true}
    series = {label: values[:SIGNAL_POINTS] for label, values in series.items() if values}
    finite = [v for values in series.values() for v in values if math.isfinite(v)] or [0.0]
    low, high = min(finite), max(finite)
    if high - low <= 1e-6 * abs(high):
        low, high = low - (abs(low) or 1.0) * 0.01, high + (abs(high) or 1.0) * 0.01
    top = _top(len(series))
    y = _scale(low, high, HEIGHT - BOTTOM, top)
    marks = [_y_tick(y(value), label) for value, label in _ticks(low, high)]
    count = len(series["Keras"])
    x = _scale(0, max(1, count - 1), LEFT, WIDTH - RIGHT)
    # The file's thin line lies above Keras's wide one, so that both show where they are equal.
    for label in ("Keras", "true", "file"):
        points = [(x(i), y(value)) for i, value in enumerate(series.get(label, ()))]
        marks += _polylines(points, SIGNAL_LINES[label])
    marks += _x_axis(unit, count)
    marks += _legend({label: SIGNAL_LINES[label] for label in series})
    return _figure(signal.name, marks, HEIGHT)


def output_unit(report: Report) -> str:
    """Return "step" or "sequence", whichever has one row of the outputs."""
    rows = max((len(signal.keras) for signal in report.signals), default=report.steps)
    return "step" if rows >= min(report.steps, SIGNAL_ROWS) else "sequence"


def _count(report: Report) -> int | None:
    """The number of outputs over the rollout; None if the report does not have it."""
    if output_unit(report) == "step":
        return report.steps
    rows = max(len(signal.keras) for signal in report.signals)
    return rows if rows < SIGNAL_ROWS else None


def _p99(result: RuntimeResult) -> float:
    return max(result.latency_p99 or 0.0, result.latency_p50 or 0.0)


def _averaged(curve: Sequence[float]) -> list[float]:
    """The RMS of a curve in at most `ERROR_POINTS` windows of similar length."""
    count = min(ERROR_POINTS, len(curve))
    bounds = [round(i * len(curve) / count) for i in range(count + 1)]
    windows = [curve[start:end] for start, end in pairwise(bounds)]
    return [math.sqrt(sum(e * e for e in window) / len(window)) for window in windows]


def _scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    return lambda value: first + (value - low) / (high - low) * (last - first)


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round values between two others, with labels that tell them apart."""
    rough = (high - low) / TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough * (1 - 1e-9))
    values = [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    # Enough digits to tell the ticks apart, in the shorter of both notations.
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    largest = max(abs(low), abs(high))
    digits = max(0, math.floor(math.log10(largest) - math.log10(step) + 1e-9))
    fixed = [f"{value:,.{decimals}f}" for value in values]
    scientific = [f"{value:.{digits}e}" if value else "0" for value in values]
    shorter = min(fixed, scientific, key=lambda labels: max(map(len, labels)))
    return list(zip(values, shorter, strict=True))


def _top(entries: int) -> int:
    """Height of a legend with so many entries, two in a row."""
    return LEGEND_ROW * ((entries + 1) // 2 if entries > 3 else 1) + 8


def _legend(lines: dict[str, str]) -> list[str]:
    columns = 2 if len(lines) > 3 else 3
    width = LEGEND_COLUMN if columns == 2 else LEGEND_COLUMN * 2 // 3
    marks = []
    for index, (label, kind) in enumerate(lines.items()):
        x, y = LEFT + index % columns * width, 12 + index // columns * LEGEND_ROW
        marks += [_line(x, y - 4, x + 24, y - 4, kind), _text(x + 29, y, label, "start")]
    return marks


def _x_axis(unit: str, count: int | None) -> list[str]:
    bottom = HEIGHT - BOTTOM
    marks = [_line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis")]
    marks.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 3, unit, "middle"))
    if count is not None:
        for share, anchor in ((0, "start"), (0.5, "middle"), (1, "end")):
            at = LEFT + share * (WIDTH - RIGHT - LEFT)
            marks.append(_text(at, bottom + 16, f"{share * count:,.0f}", anchor))
    return marks


def _y_tick(y: float, label: str) -> str:
    return _line(LEFT, y, WIDTH - RIGHT, y, "grid") + _text(LEFT - 6, y + 4, label, "end")


def _polylines(points: list[tuple[float, float]], kind: str) -> list[str]:
    """Lines through points, with gaps where a value is not finite."""
    runs: list[list[str]] = [[]]
    for x, y in points:
        if math.isfinite(y):
            runs[-1].append(f"{x:.1f},{y:.1f}")
        elif runs[-1]:
            runs.append([])
    return [f'<polyline class="{kind}" points="{" ".join(run)}"/>' for run in runs if run]


def _figure(caption: str, marks: list[str], height: float) -> str:
    return (
        f'<figure><figcaption>{escape(caption)}</figcaption>\n<svg viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label="{escape(caption)}">{"".join(marks)}</svg></figure>\n'
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
