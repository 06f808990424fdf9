"""report.html: the report as one page with plots and without external resources."""

from collections.abc import Iterable, Mapping
from html import escape

from export.verification.report import Report, percent
from export.verification.report_plots import (
    SIGNAL_POINTS,
    error_plot,
    latency_plot,
    output_unit,
    signal_plots,
)
from export.verification.report_text import HEADINGS, cells, facts, label, origin

# Every colour has a contrast of at least 4.5 : 1 to the paper, in both schemes.
STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1a1a1a; --soft: #696969;
        --blue: #005f9e; --orange: #b04600; --green: #006b4b; --pink: #8f2f74; --red: #b3261e; }
@media (prefers-color-scheme: dark) {
:root { --paper: #16181a; --ink: #e8e8e8; --soft: #9a9fa5;
        --blue: #5fb3f0; --orange: #ff9d5c; --green: #45c796; --pink: #e8a0cc; --red: #ff8f85; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 46rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.passed { color: var(--green); } .FAILED { color: var(--red); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; overflow-wrap: normal; }
th, td { text-align: right; padding: 0.25rem 0.5rem; border-bottom: 1px solid var(--soft); }
td { white-space: nowrap; } th { vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: 0.25rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin: 0 0 0.5rem; } }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr));
         gap: 1.5rem; }
figure { margin: 0; min-width: 0; max-width: 30rem; } figcaption { font-size: 0.9rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg line, svg polyline { fill: none; stroke: var(--ink); stroke-width: 1; }
svg line.grid { stroke: var(--soft); stroke-width: 0.5; stroke-dasharray: 1 4; }
svg .tolerance { stroke-width: 1.5; stroke-dasharray: 12 3; }
svg rect, svg .keras, svg .first { stroke: var(--blue); } svg rect { fill: var(--blue); }
svg .file, svg .second { stroke: var(--orange); } svg .true, svg .third { stroke: var(--green); }
svg .keras { stroke-width: 3; } svg .file { stroke-width: 1.5; stroke-dasharray: 6 3; }
svg .true { stroke-width: 1.5; stroke-dasharray: 1.5 3; }
svg .first { stroke-width: 2; } svg .second { stroke-width: 1.5; stroke-dasharray: 6 3; }
svg .third { stroke-width: 1.5; stroke-dasharray: 1.5 3; }
svg .fourth { stroke: var(--pink); stroke-width: 1.5; stroke-dasharray: 8 3 2 3; }
"""


def report_page(report: Report) -> str:
    """Return the text of report.html."""
    verdict = "passed" if report.passed else "FAILED"
    over_time = [plot for plot in (error_plot(report), latency_plot(report)) if plot]
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
Allowed RMS error of the outputs: {percent(report.tolerance)} of their standard deviation.</p>
{_sentences("Failures", report.failures)}
{_sentences("Likely remedies", report.remedies)}
{_plots("Outputs of Keras and of the file", signal_plots(report), _shown(report))}
{_plots("Error and time per step", over_time)}
<h2>Runtimes against Keras</h2>
{_table(("runtime", *HEADINGS), [(label(r), *cells(report, r)) for r in report.results])}
{_facts("Size and cost of the file", facts(report))}
{_sentences("Warnings", report.warnings)}
{_layout(report)}
{_facts("Origin", origin(report))}
</body>
</html>
"""


def _sentences(heading: str, sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<h2>{heading}</h2>\n<ul>{items}</ul>" if items else ""


def _plots(heading: str, plots: list[str], note: str = "") -> str:
    if not plots:
        return ""
    described = f"<p>{escape(note)}</p>\n" if note else ""
    return f'<h2>{heading}</h2>\n{described}<div class="plots">{"".join(plots)}</div>'


def _shown(report: Report) -> str:
    """Which part of the outputs the plots show."""
    rows = max((len(signal.keras) for signal in report.signals), default=0)
    unit = f"{output_unit(report)}s"
    return f"The first {SIGNAL_POINTS} {unit}." if rows > SIGNAL_POINTS else f"All {rows} {unit}."


def _facts(heading: str, named: Mapping[str, str]) -> str:
    entries = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in named.items()
    )
    return f"<h2>{heading}</h2>\n<dl>{entries}</dl>" if entries else ""


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table that scrolls in its own box where the page is too narrow."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _layout(report: Report) -> str:
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
    headings = ("name", "kind", "size", "type", "scale", "zero point")
    return f"<h2>Inputs, outputs and states</h2>\n{_table(headings, rows)}" if rows else ""
