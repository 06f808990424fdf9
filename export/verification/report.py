"""The report of a verification: what each runtime did, and whether it was good enough."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from export.tflite_file.layout import TensorLayout

HEADINGS = ("error", "state error", "worst step", "MSE", "µs (p99)")


@dataclass(frozen=True)
class RuntimeResult:
    """What one runtime did over the rollout.

    Attributes:
        name: The runtime.
        note: Why it was not run, or "".
        output_error: RMS error of the outputs against Keras, over their standard deviation.
        state_error: The same of the states; 0 without states.
        worst_step: The step of the largest output error.
        worst_error: That step's RMS error, over the outputs' standard deviation.
        error_curve: RMS errors of the outputs over time, in windows of about one length.
        metric: Mean squared error against the targets, if there were any.
        latency_p50: Median time of a step on this host, in microseconds.
        latency_p99: 99th percentile of the same.
    """

    name: str
    note: str = ""
    output_error: float | None = None
    state_error: float | None = None
    worst_step: int | None = None
    worst_error: float | None = None
    error_curve: tuple[float, ...] = ()
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
        gzip_bytes: Its size after gzip, where pruning and clustering pay.
        multiply_accumulates: Those of the matrix products of one step.
        arena_bytes: Working memory on TFLite Micro on this host; None where it was not run.
        operations: Count of each operation of a step.
        results: One for each runtime, Keras first.
        disagreement: Largest RMS difference between two runtimes, over the outputs'
            standard deviation; None where only one was run.
        tolerance: Largest accepted `output_error`.
        failures: What was outside tolerance, one sentence each.
        warnings: What is within it and should be known, one sentence each.
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
    gzip_bytes: int
    multiply_accumulates: int
    arena_bytes: int | None
    operations: dict[str, int]
    results: tuple[RuntimeResult, ...]
    disagreement: float | None
    tolerance: float
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
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
            title=self.title,
            caption=f"errors against Keras as shares of the deviation; {self.inputs}",
        )
        table.add_column("runtime", no_wrap=True)
        for heading in HEADINGS:
            table.add_column(heading, justify="right")
        for result in self.results:
            table.add_row(result.name, *self.row(result))
        console.print(table)
        facts = Table.grid(padding=(0, 2))
        for fact in self.facts().items():
            facts.add_row(*fact)
        for warning in self.warnings:
            facts.add_row("warning", warning, style="yellow")
        console.print(facts)
        for name, path in self.files.items():
            console.print(f"{name:<18} {path}", highlight=False, soft_wrap=True)
        verdict = "passed" if self.passed else "FAILED"
        console.print(f"verification {verdict}", style="green" if self.passed else "red bold")
        for failure in self.failures:
            console.print(f"  {failure}", highlight=False)

    @property
    def title(self) -> str:
        """What was verified, in a line."""
        return f"{self.model}: {self.recipe} for {self.target}, {self.steps:,} closed-loop steps"

    def row(self, result: RuntimeResult) -> tuple[str, ...]:
        """The numbers of a runtime under `HEADINGS`, for a person."""
        if result.note:
            return (result.note, *[""] * (len(HEADINGS) - 1))
        if result is self.results[0]:
            errors = ("reference", "", "")
        else:
            errors = (
                percent(result.output_error),
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

    def facts(self) -> dict[str, str]:
        """What the file costs, by name, for a person."""
        facts = {
            "size": f"{self.bytes:,} bytes, {self.gzip_bytes:,} gzipped; "
            f"{self.parameters:,} parameters"
        }
        if self.arena_bytes is not None:
            facts["arena"] = (
                f"{self.arena_bytes:,} bytes in use by TFLite Micro here, with 8-byte pointers; "
                "about half on 32-bit devices. Placing tensors takes up to half as much more"
            )
        if self.disagreement is not None:
            facts["runtimes"] = f"differ from each other by at most {percent(self.disagreement)}"
        counts = ", ".join(f"{name} x{count}" for name, count in self.operations.items())
        facts["arithmetic"] = f"{self.multiply_accumulates:,} multiply-accumulates per step"
        facts["operations"] = f"{sum(self.operations.values())} per step: {counts}"
        return facts


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
