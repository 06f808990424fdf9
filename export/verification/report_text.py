"""The report as text: the cells of its tables, its facts, and its output in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from export.terminal_table import print_table
from export.tflite_file.arena import bytes_to_reserve, bytes_to_reserve_on_32_bits
from export.verification.report import Report, RuntimeResult, percent

if TYPE_CHECKING:
    from rich.console import Console

C_TARGET = "c"
HEADINGS = ("error", "state error", "worst step", "MSE", "µs (p99)")


def print_report(report: Report, console: Console | None = None) -> None:
    """Print a report as tables on a console; by default on stdout."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("runtime")
    for heading in HEADINGS:
        # Two lines, to fit narrow terminals.
        table.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
    for result in report.results:
        # Why a runtime was not run stands below its name.
        table.add_row(label(result).replace(": ", ":\n", 1), *cells(report, result))
    console.print(Text(report.title, style="bold"), soft_wrap=not console.is_terminal)
    print_table(console, table)
    caption = f"errors against Keras, relative to the standard deviation; {report.inputs}"
    console.print(Text(caption))
    listed = Table.grid(padding=(0, 2))
    listed.add_column(no_wrap=True)
    for name, fact in facts(report).items():
        # Text: brackets in sentences are no markup.
        listed.add_row(name, Text(fact))
    for warning in report.warnings:
        listed.add_row("warning", Text(warning), style="yellow")
    console.print(listed)
    for name, path in listed_files(report.files).items():
        console.print(f"{name:<18} {path}", highlight=False, markup=False, soft_wrap=True)
    verdict = "passed" if report.passed else "FAILED"
    console.print(f"verification {verdict}", style="green" if report.passed else "red bold")
    sentences = Table.grid(padding=(0, 1))
    for failure in report.failures:
        sentences.add_row("", "", Text(failure))
    for remedy in report.remedies:
        sentences.add_row("", "-", Text(remedy))
    if sentences.row_count:
        console.print(sentences)


def listed_files(files: Mapping[str, str]) -> dict[str, str]:
    """Return the paths of files by name, with one entry for all files of a folder."""
    found = {}
    for name, path in files.items():
        folder, *inside = PurePosixPath(name).parts
        if inside:
            found[f"{folder}/"] = str(Path(path).parents[len(inside) - 1])
        else:
            found[name] = path
    return found


def label(result: RuntimeResult) -> str:
    """Return the name of a runtime, and why it was not run."""
    return f"{result.name}: {result.note}" if result.note else result.name


def cells(report: Report, result: RuntimeResult) -> tuple[str, ...]:
    """Return the formatted cells of a runtime, one per heading in `HEADINGS`."""
    if result.note:
        return ("",) * len(HEADINGS)
    if result is report.results[0]:
        errors = ("reference", "", "")
    else:
        errors = (
            "" if result.output_error is None else percent(result.output_error),
            "" if result.state_error is None else percent(result.state_error),
            "" if result.worst_step is None else f"{result.worst_step:,}",
        )
    return (
        *errors,
        "" if result.metric is None else f"{result.metric:.4g}",
        ""
        if result.latency_p50 is None
        else f"{result.latency_p50:.0f} ({result.latency_p99:.0f})",
    )


def facts(report: Report) -> dict[str, str]:
    """Return formatted facts about the size and cost of the file, by name."""
    found = {
        "source"
        if report.target == C_TARGET
        else "size": f"{report.bytes:,} bytes, {report.gzip_bytes:,} gzipped; "
        f"{report.parameters:,} parameters"
    }
    if report.arena_bytes is not None:
        found["arena"] = (
            f"{report.arena_bytes:,} bytes used by TFLite Micro on this host, with 8-byte "
            f"pointers; reserve {bytes_to_reserve(report.arena_bytes):,} to allocate, or "
            f"{bytes_to_reserve_on_32_bits(report.arena_bytes):,} on a 32-bit device"
        )
    if report.disagreement is not None:
        found["runtimes"] = f"differ from each other by at most {percent(report.disagreement)}"
    learned = [
        f"{percent(result.learned_error)} ({result.name})"
        for result in report.results[1:]
        if result.learned_error is not None
    ]
    if learned:
        found["adaptation"] = (
            f"weights learned in {report.steps:,} steps differ from those in Keras by "
            + ", ".join(learned)
        )
    found["arithmetic"] = f"{report.multiply_accumulates:,} multiply-accumulates per step"
    if not report.operations:
        return found
    counts = ", ".join(f"{name} x{count}" for name, count in report.operations.items())
    found["operations"] = f"{sum(report.operations.values())} per step: {counts}"
    return found


def origin(report: Report) -> dict[str, str]:
    """Return formatted facts about the origin of the report, by name; empty for an old report."""
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items() if number)
    found = {
        "date": report.date,
        "versions": versions,
        "sha256 of the file": report.file_sha256,
        "sha256 of the model": report.model_sha256,
    }
    return {name: fact for name, fact in found.items() if fact}
