"""`compare`: every recipe of every target, converted and verified, as one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from io import StringIO
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from export import recipes
from export.calibration import closed_loop_samples
from export.convert import convert, converter
from export.data import Data, as_arrays, as_sequences
from export.evaluation_data import evaluation_pair
from export.forms.model_graph import read_graph
from export.forms.step import Step, to_step
from export.pipeline import forms_of, require_arguments, require_tensorflow
from export.recipes import Recipe
from export.targets import MICRO, TARGETS, Target
from export.verification.report import Report, RuntimeResult, finite
from export.verification.verify import VERIFICATION_STEPS, verify
from lnn_keras.argument_checks import require_at_least

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
        bytes: Size of the .tflite file; None if refused.
        arena_bytes: Arena on TFLite Micro on this host; None if it was not run.
        error: Largest RMS error of the outputs over all runtimes, over their standard deviation.
        metric: Largest mean squared error over all runtimes, if true outputs were given.
        latency_p50: Median time of a step on this host, in microseconds: on TFLite Micro where
            the target has it, else on LiteRT with XNNPACK.
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
            # Numbers stay whole; in a narrow terminal target and recipe take two lines.
            justify = "left" if first or last else "right"
            table.add_column(heading, justify=justify, no_wrap=not first)
        for *texts, verdict in rows:
            table.add_row(*texts, Text(verdict, style=styles[verdict]))
        console.print(Text(self.title, style="bold"))
        console.print(table)
        for line in (self.caption, *self.reasons()):
            # A terminal wraps at words; a file keeps each sentence in one line.
            console.print(Text(line), soft_wrap=not console.is_terminal)

    def table(self) -> list[tuple[str, ...]]:
        """Return the headings and the formatted rows, without columns that have no value."""
        rows = [HEADINGS, *map(cells, self.rows)]
        columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
        return list(zip(*columns, strict=True))

    @property
    def caption(self) -> str:
        """The meaning of the columns."""
        metric = "" if self.keras_metric is None else f"; MSE of Keras: {self.keras_metric:.3g}"
        return (
            "error: largest RMS error against Keras, relative to the outputs' standard deviation; "
            f"µs: median time of a step on this host{metric}."
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


def compare(
    model: keras.Model,
    *,
    calibration: Data | None = None,
    evaluation: Data | tuple[Data, ArrayLike] | None = None,
    steps: int = VERIFICATION_STEPS,
    reset: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Convert and verify a model with every recipe of every target; no file is written.

    A recipe that is out of tolerance, or that cannot be made, is a row with its reasons.

    Args:
        model: The model; see `to_tflite`. It is not changed.
        calibration: Typical sequences; see `to_tflite`. Without them the integer recipes are
            refused.
        evaluation: Sequences to verify on, or a pair of them and their true outputs; by default
            the calibration data.
        steps: Largest number of closed-loop steps to verify.
        reset: Whether the device resets the states before each sequence; see `to_tflite`.
        progress: Called with a sentence before each stage.

    Returns:
        The table.

    Raises:
        ValueError: The model is no Sequential or Functional model, the data do not fit it, or
            `steps` is less than 2. Nothing is converted then.

    Example:
        >>> import export, zoo
        >>> model, data = zoo.load("half-cheetah-micro"), zoo.samples("half-cheetah-micro")
        >>> table = export.compare(model, calibration=data["calibration"], steps=100)
        >>> [row.recipe for row in table.rows if row.target == "micro"]
        ['float32', 'int8', 'int16x8']
    """
    require_at_least(2, "steps", steps)
    require_tensorflow()
    work = _Work(model, calibration, evaluation, steps, reset, progress or (lambda sentence: None))
    converter.start()
    rows = tuple(work.rows())
    return Comparison(work.graph.name, steps, work.keras_metric, rows)


class _Work:
    """The model and the data that all rows share, checked."""

    def __init__(self, model, calibration, evaluation, steps, reset, progress):
        self.model, self.steps, self.reset, self.progress = model, steps, reset, progress
        self.graph = read_graph(model)
        step = _step_form(model)
        self.calibration = None if calibration is None else as_arrays(self.graph, calibration)
        if step is not None and self.calibration is not None:
            as_sequences(step, self.calibration)
        self.inputs, self.true_outputs = evaluation_pair(
            self.graph, step, evaluation, self.calibration
        )
        self.keras_metric: float | None = None

    def rows(self) -> Iterator[ComparisonRow]:
        pairs = [
            (target, recipes.get(name)) for target in TARGETS.values() for name in target.recipes
        ]
        # Microcontrollers first: they decide more often.
        for index, (target, recipe) in enumerate(sorted(pairs, key=lambda pair: pair[0].name)):
            self.progress(f"{target.name} {recipe.name} ({index + 1} of {len(pairs)})")
            yield self._row(target, recipe)

    def _row(self, target: Target, recipe: Recipe) -> ComparisonRow:
        try:
            forms = forms_of(self.model, target, recipe)
            require_arguments(target, recipe, self.calibration)
            samples = self._samples if recipe.is_integer else ()
            content = convert(forms.step, recipe, target, samples, forms.sequence)
            report = verify(
                self.model,
                content,
                self.inputs,
                self.true_outputs,
                target=target,
                recipe=recipe,
                steps=self.steps,
                reset=self.reset,
            )
        except (ValueError, RuntimeError) as error:
            return ComparisonRow(target.name, recipe.name, REFUSED, (str(error),))
        self.keras_metric = report.results[0].metric
        return _verified(target, report)

    @cached_property
    def _samples(self) -> list[dict[str, np.ndarray]]:
        """Calibration samples, the same for all integer recipes."""
        assert self.calibration is not None
        step = to_step(self.model, fold_scaling=True)
        return closed_loop_samples(step, as_sequences(step, self.calibration))


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


def _step_form(model: keras.Model) -> Step | None:
    """The step form, or None if the model has none: then rows say why."""
    try:
        return to_step(model)
    except ValueError:
        return None


def _verified(target: Target, report: Report) -> ComparisonRow:
    ran = [result for result in report.results[1:] if not result.note]
    return ComparisonRow(
        target=target.name,
        recipe=report.recipe,
        verdict=PASSED if report.passed else FAILED,
        reasons=report.failures,
        bytes=report.bytes,
        arena_bytes=report.arena_bytes,
        error=_worst([result.output_error for result in ran]),
        metric=_worst([result.metric for result in ran]),
        latency_p50=_latency(target, ran),
    )


def _worst(values: list[Any]) -> float | None:
    """The largest value; NaN if one is NaN, None if there are none."""
    numbers = [value for value in values if value is not None]
    return float(np.max(numbers)) if numbers else None


def _latency(target: Target, ran: list[RuntimeResult]) -> float | None:
    by_name = {result.name: result.latency_p50 for result in ran}
    return by_name.get(MICRO, by_name.get(target.runtimes[0]))
