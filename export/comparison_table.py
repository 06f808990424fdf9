"""The table of `compare`: its rows, and the same as text, Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from io import StringIO
from typing import TYPE_CHECKING

from export.terminal_table import print_table
from export.verification.report import finite

if TYPE_CHECKING:
    from rich.console import Console

TEXT_WIDTH = 80
PASSED, FAILED, REFUSED = "passed", "failed", "refused"
HEADINGS = ("target recipe", "bytes", "arena", "error %", "MSE", "µs", "verdict")


@dataclass(frozen=True)
class ComparisonRow:
    """One recipe of one target.

    Attributes:
        target: Name of the target.
        recipe: Name of the recipe.
        verdict: "passed", "failed" (out of tolerance) or "refused" (no file can be made).
        reasons: Why it failed or was refused, one sentence each; empty if it passed.
        bytes: Size of the .tflite file, or of the text of the C source; None if refused.
        arena_bytes: Arena on TFLite Micro on this host; None if it was not run.
        error: Largest RMS error of the outputs over all runtimes, over their standard deviation.
        metric: Largest mean squared error over all runtimes, if true outputs were given.
        latency_p50: Median time of a step on this host, in microseconds: on TFLite Micro where
            the target has it, on LiteRT with XNNPACK for phones, compiled by this host for C.
    """

    target: str
    recipe: str
    verdict: str
    reasons: tuple[str, ...] = ()
    bytes: int | None = None
    arena_bytes: int | None = None
    error: float | None = None
    metric: float | None = None
    latency_p50: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The recipes of all targets for one model.

    Attributes:
        model: Name of the model.
        steps: Largest number of closed-loop steps of each verification.
        keras_metric: Mean squared error of Keras, if true outputs were given.
        rows: One per target and recipe.
    """

    model: str
    steps: int
    keras_metric: float | None
    rows: tuple[ComparisonRow, ...]

    @property
    def title(self) -> str:
        """Title in one line."""
        return f"{self.model}: all recipes, up to {self.steps:,} closed-loop steps"

    def json(self) -> str:
        """Return the comparison as JSON; values that are not finite become null."""
        return json.dumps(finite(asdict(self)), indent=2, allow_nan=False)

    def markdown(self) -> str:
        """Return the comparison as a table in Markdown, with the reasons below it."""
        headings, *rows = self.table()
        lines = [
            f"**{self.title}**",
            "",
            f"| {' | '.join(headings)} |",
            f"| --- |{' ---: |' * (len(headings) - 2)} --- |",
            *(f"| {' | '.join(row)} |" for row in rows),
            "",
            self.caption,
            "",
            *(f"- {reason}".replace("|", "\\|") for reason in self.reasons()),
        ]
        return "\n".join(lines).rstrip()

    def text(self) -> str:
        """Return the comparison as a table of plain text."""
        from rich.console import Console

        file = StringIO()
        self.print(Console(file=file, width=TEXT_WIDTH))
        return "\n".join(line.rstrip() for line in file.getvalue().splitlines())

    def print(self, console: Console | None = None) -> None:
        """Print the comparison as a table on a `rich.console.Console`."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = console or Console()
        styles = {PASSED: "green", FAILED: "red", REFUSED: "yellow"}
        table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
        headings, *rows = self.table()
        for heading in headings:
            first, last = heading == HEADINGS[0], heading == HEADINGS[-1]
            table.add_column(heading, justify="left" if first or last else "right", no_wrap=True)
        for *texts, verdict in rows:
            table.add_row(*texts, Text(verdict, style=styles[verdict]))
        # A terminal wraps at words; a file keeps each sentence in one line.
        soft_wrap = not console.is_terminal
        console.print(Text(self.title, style="bold"), soft_wrap=soft_wrap)
        print_table(console, table)
        for line in (self.caption, *self.reasons()):
            console.print(Text(line), soft_wrap=soft_wrap)

    def table(self) -> list[tuple[str, ...]]:
        """Return the headings and the formatted rows, without columns that have no value."""
        rows = [HEADINGS, *map(cells, self.rows)]
        columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
        return list(zip(*columns, strict=True))

    @property
    def caption(self) -> str:
        """The meaning of the columns."""
        has_c = any(row.target == "c" and row.bytes for row in self.rows)
        source = "; bytes of c: the text of its source, of which a device holds a part"
        metric = "" if self.keras_metric is None else f"; MSE of Keras: {self.keras_metric:.3g}"
        return (
            "error: largest RMS error against Keras, relative to the outputs' standard deviation; "
            f"µs: median time of a step on this host{metric}"
            f"{source if has_c else ''}."
        )

    def reasons(self) -> list[str]:
        """Return a line for each recipe that did not pass; refused alike for all, one line."""
        found: dict[str, list[ComparisonRow]] = {}
        for row in self.rows:
            if row.reasons:
                found.setdefault(row.reasons[0], []).append(row)
        return [
            f"{', '.join(f'{row.target} {row.recipe}' for row in rows)} "
            f"{rows[0].verdict}: {' '.join(reason.split())}"
            for reason, rows in found.items()
        ]


def cells(row: ComparisonRow) -> tuple[str, ...]:
    """Return the formatted cells of a row, one per heading in `HEADINGS`."""
    return (
        f"{row.target} {row.recipe}",
        _formatted(row.bytes, ","),
        _formatted(row.arena_bytes, ","),
        _formatted(None if row.error is None else 100 * row.error, ".3g"),
        _formatted(row.metric, ".3g"),
        _formatted(row.latency_p50, ".0f"),
        row.verdict,
    )


def _formatted(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
