"""The report of a verification: what each runtime did, and whether it was good enough."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from export.layout import TensorLayout


@dataclass(frozen=True)
class RuntimeResult:
    """What one runtime did over the rollout.

    Attributes:
        name: The runtime.
        note: Why it was not run, or "".
        output_error: RMS error of the outputs against Keras, over their standard deviation.
        state_error: The same of the states; 0 without states.
        worst_step: The step of the largest output error.
        metric: Mean squared error against the targets, if there were any.
        latency_p50: Median time of a step on this host, in microseconds.
        latency_p99: 99th percentile of the same.
    """

    name: str
    note: str = ""
    output_error: float | None = None
    state_error: float | None = None
    worst_step: int | None = None
    metric: float | None = None
    latency_p50: float | None = None
    latency_p99: float | None = None


@dataclass(frozen=True)
class Report:
    """What a file is, what it did, and where it lies.

    Attributes:
        model: Name of the model.
        target: Name of the target.
        recipe: Name of the recipe.
        steps: Closed-loop steps of the rollout.
        inputs: Which data the rollout ran on.
        parameters: Numbers that the model holds.
        bytes: Size of the .tflite file.
        arena_bytes: Working memory on TFLite Micro on this host; None where it was not run.
        operations: Count of each operation of a step.
        results: One for each runtime, Keras first.
        disagreement: RMS difference between LiteRT and TFLite Micro, over the outputs'
            standard deviation; None where one was not run.
        tolerance: Largest accepted `output_error`.
        failures: What was outside tolerance, one sentence each.
        layout: How inputs, outputs and states are read and written, once exported.
        files: Name -> path of each file written.
    """

    model: str
    target: str
    recipe: str
    steps: int
    inputs: str
    parameters: int
    bytes: int
    arena_bytes: int | None
    operations: dict[str, int]
    results: tuple[RuntimeResult, ...]
    disagreement: float | None
    tolerance: float
    failures: tuple[str, ...] = ()
    layout: tuple[TensorLayout, ...] = ()
    files: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing was outside tolerance."""
        return not self.failures

    def save(self, path: str | Path) -> None:
        """Write the report as JSON."""
        content = {**asdict(self), "passed": self.passed}
        Path(path).write_text(json.dumps(content, indent=2) + "\n")

    def print(self, console=None) -> None:
        """Print the report for a person, on a `rich.console.Console`."""
        from rich.console import Console
        from rich.table import Table

        console = console or Console()
        table = Table(
            title=f"{self.model}: {self.recipe} for {self.target}, {self.steps} closed-loop steps",
            caption=f"errors against Keras as shares of the standard deviation; {self.inputs}",
        )
        table.add_column("runtime")
        for heading in ("output error", "state error", "MSE", "µs/step p50", "p99"):
            table.add_column(heading, justify="right")
        for result in self.results:
            if result.note:
                table.add_row(result.name, "not run")
                continue
            table.add_row(
                result.name,
                "reference" if result is self.results[0] else percent(result.output_error),
                "" if result is self.results[0] else percent(result.state_error),
                "" if result.metric is None else f"{result.metric:.4g}",
                f"{result.latency_p50:.0f}",
                f"{result.latency_p99:.0f}",
            )
        console.print(table)
        for line in self._facts():
            console.print(line, highlight=False)
        verdict = "passed" if self.passed else "FAILED"
        console.print(f"verification {verdict}", style="green" if self.passed else "red bold")
        for failure in self.failures:
            console.print(f"  {failure}", highlight=False)

    def _facts(self):
        yield from (result.note for result in self.results if result.note)
        yield f"size        {self.bytes:,} bytes, {self.parameters:,} parameters"
        if self.arena_bytes is not None:
            yield f"arena       {self.arena_bytes:,} bytes here; about half with 32-bit pointers"
        if self.disagreement is not None:
            yield f"runtimes    LiteRT and TFLite Micro differ by {percent(self.disagreement)}"
        counts = ", ".join(f"{name} x{count}" for name, count in self.operations.items())
        yield f"operations  {sum(self.operations.values())} per step: {counts}"
        for name, path in self.files.items():
            yield f"{name:<15} {path}"


def percent(share: float) -> str:
    """A share in percent with three digits: 0.0123 -> "1.23 %"."""
    return f"{100 * share:.3g} %"


class VerificationError(RuntimeError):
    """A file did not do what its model did.

    Attributes:
        report: What was measured.
    """

    def __init__(self, report: Report):
        super().__init__(
            f"The {report.recipe} file of {report.model!r} failed verification: "
            + " ".join(report.failures)
        )
        self.report = report
