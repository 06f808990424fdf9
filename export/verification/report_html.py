"""report.html: the report as one page with plots and without external resources."""

import math
from html import escape

from export.verification.report import HEADINGS, Report

WIDTH, HEIGHT = 720, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 40
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito, safe for colour blindness
FLOOR = 1e-9  # errors of 0 have no logarithm

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #66666655; --paper: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #16181a; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { text-align: right; padding: 0.25rem 0.5rem; border-bottom: 1px solid var(--soft); }
th:first-child, td:first-child { text-align: left; }
td.fact { text-align: left; }
svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: var(--ink); }
.passed { color: #00805a; } .FAILED { color: #c0392b; }
"""


def report_page(report: Report) -> str:
    """Return the text of report.html."""
    verdict = "passed" if report.passed else "FAILED"
    plots = [_error_plot(report), _latency_plot(report)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(report.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(report.title)}</h1>
<p>Verification <strong class="{verdict}">{verdict}</strong>. Inputs: {escape(report.inputs)}.
Allowed RMS error of the outputs: {100 * report.tolerance:.3g} % of their standard deviation.</p>
{_sentences("Failures", report.failures)}
{_sentences("Warnings", report.warnings)}
<h2>Runtimes against Keras</h2>
<div class="scroll">{_results(report)}</div>
{"".join(plots)}
<h2>Size and cost of the file</h2>
{_facts(report)}
<h2>Inputs, outputs and states</h2>
<div class="scroll">{_layout(report)}</div>
</body>
</html>
"""


def _sentences(heading, sentences):
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<h2>{heading}</h2>\n<ul>{items}</ul>"


def _table(headings, rows):
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _results(report):
    rows = [(result.name, *report.row(result)) for result in report.results]
    return _table(("runtime", *HEADINGS), rows)


def _facts(report):
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="fact">{escape(fact)}</td></tr>'
        for name, fact in report.facts().items()
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _layout(report):
    rows = [
        (
            tensor.name,
            tensor.kind,
            str(tensor.size),
            tensor.dtype,
            f"{min(tensor.scale):.4g} to {max(tensor.scale):.4g}",
            str(tensor.zero_point),
        )
        for tensor in report.layout
    ]
    return _table(("name", "kind", "size", "type", "scale", "zero point"), rows)


def _error_plot(report):
    """Error over time of each runtime on a logarithmic axis, and the tolerance."""
    curves = {r.name: r.error_curve for r in report.results[1:] if r.error_curve}
    if not curves:
        return ""
    values = [max(error, FLOOR) for curve in curves.values() for error in curve]
    lowest, highest = min(*values, report.tolerance), max(*values, report.tolerance)
    low, high = _decade(lowest), _decade(highest) + 1

    def y(error):
        share = (math.log10(max(error, FLOOR)) - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def x(index, count):
        return LEFT + (index + 0.5) / count * (WIDTH - LEFT - RIGHT)

    marks = []
    for decade in range(low, high + 1, max(1, (high - low) // 6)):
        at = y(10.0**decade)
        marks.append(_line(LEFT, at, WIDTH - RIGHT, at, "var(--soft)"))
        marks.append(_text(LEFT - 8, at + 4, f"{100 * 10.0**decade:g} %", "end"))
    tolerance = y(report.tolerance)
    marks.append(_line(LEFT, tolerance, WIDTH - RIGHT, tolerance, "var(--ink)", dashes="6 4"))
    marks.append(_text(WIDTH - RIGHT, tolerance - 6, "tolerance for the whole rollout", "end"))
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = LEFT + share * (WIDTH - LEFT - RIGHT)
        marks.append(_text(at, HEIGHT - BOTTOM + 18, f"{share * report.steps:,.0f}", "middle"))
    marks.append(_text((LEFT + WIDTH) / 2, HEIGHT - 4, "step", "middle"))
    for (_, curve), colour in zip(curves.items(), COLOURS, strict=False):
        points = " ".join(f"{x(i, len(curve)):.1f},{y(e):.1f}" for i, e in enumerate(curve))
        marks.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
    caption = "RMS error of the outputs over time, relative to their standard deviation"
    return _figure("Error over time", caption, marks, HEIGHT, list(curves))


def _latency_plot(report):
    """Median and 99th percentile of each runtime's time per step."""
    timed = [result for result in report.results[1:] if result.latency_p50]
    if not timed:
        return ""
    longest = max(result.latency_p99 for result in timed)
    width = WIDTH - LEFT - RIGHT - 90
    marks, row = [], 34
    for index, (result, colour) in enumerate(zip(timed, COLOURS, strict=False)):
        top = TOP + index * row
        median, p99 = (
            value / longest * width for value in (result.latency_p50, result.latency_p99)
        )
        marks.append(
            f'<rect x="{LEFT}" y="{top}" width="{median:.1f}" height="18" fill="{colour}"/>'
        )
        marks.append(_line(LEFT, top + 9, LEFT + p99, top + 9, "var(--ink)"))
        label = f"{result.latency_p50:.0f} (p99 {result.latency_p99:.0f})"
        marks.append(_text(LEFT + max(median, p99) + 8, top + 13, label, "start"))
    caption = "Microseconds per step on the host that verified the file, called from Python"
    return _figure("Time per step", caption, marks, TOP + len(timed) * row, [r.name for r in timed])


def _figure(heading, caption, marks, height, names):
    legend = "".join(
        f'<span style="color:{colour}">&#9632;</span> {escape(name)}&ensp;'
        for name, colour in zip(names, COLOURS, strict=False)
    )
    return (
        f'<h2>{heading}</h2>\n<p>{legend}</p>\n<svg viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(caption)}">{"".join(marks)}</svg>\n<p>{escape(caption)}.</p>\n'
    )


def _line(x1, y1, x2, y2, colour, dashes="none"):
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-dasharray="{dashes}"/>'
    )


def _text(x, y, text, anchor):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _decade(value):
    return math.floor(math.log10(value))
