"""The report of a verification: errors of each runtime, cost of the file, failures."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.tflite_file.layout import TensorLayout
from lnn_keras.atomic_folder import whole_file

if TYPE_CHECKING:
    from rich.console import Console

# Largest number of features, and of their values, in a report's plots.
SIGNALS, SIGNAL_ROWS = 8, 500


@dataclass(frozen=True)
class RuntimeResult:
    """Errors and latency of one runtime over the rollout.

    Attributes:
        name: Name of the runtime.
        note: Why it was not run, or "".
        output_error: RMS error of the outputs against Keras, over their standard deviation.
        rounding: Error that float32 rounding explains; it is added to the tolerance.
        state_error: RMS error of the states in the same unit; 0 without states.
        worst_step: The step with the largest output error.
        worst_error: RMS error of that step, over the outputs' standard deviation.
        error_curve: RMS errors of the outputs over time, in windows of similar length.
        metric: Mean squared error against the true outputs, if given.
        learned_error: Error of the weights that the model learned while it ran, after the last
            step, relative to their size; None if it learns none.
        latency_p50: Median time of a step on this host, in microseconds.
        latency_p99: 99th percentile of the same, in microseconds.
    """

    name: str
    note: str = ""
    output_error: float | None = None
    rounding: float = 0.0
    state_error: float | None = None
    worst_step: int | None = None
    worst_error: float | None = None
    error_curve: tuple[float, ...] = ()
    metric: float | None = None
    learned_error: float | None = None
    latency_p50: float | None = None
    latency_p99: float | None = None


@dataclass(frozen=True)
class Signal:
    """One feature of an output over the rollout, in Keras and in the file.

    Attributes:
        name: Name of the output, and the index of the feature if there are several.
        keras: The reference.
        file: The file, on the first runtime of the target.
        true: The true values, if they were given.
    """

    name: str
    keras: tuple[float, ...]
    file: tuple[float, ...]
    true: tuple[float, ...] = ()


@dataclass(frozen=True)
class Measurements:
    """The measurements of a verification; the attributes are those of `Report`."""

    steps: int
    results: tuple[RuntimeResult, ...]
    disagreement: float | None
    arena_bytes: int | None
    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    signals: tuple[Signal, ...]


@dataclass(frozen=True)
class Report:
    """Result of a verification, and the files that were written.

    Attributes:
        model: Name of the model.
        target: Name of the target.
        recipe: Name of the recipe.
        steps: Number of closed-loop steps.
        inputs: Description of the data that the rollout ran on.
        parameters: Number of parameters of the model.
        bytes: Size of the .tflite file.
        gzip_bytes: Its size after gzip, which pruning and clustering reduce.
        multiply_accumulates: Multiply-accumulates of the matrix products of one step.
        arena_bytes: Arena in use on TFLite Micro on this host, of all files together; None if
            it was not run. Allocation needs more: the sources of the file say how much.
        operations: Count of each operation of a step.
        results: One per runtime, Keras first.
        disagreement: Largest RMS difference between two runtimes, over the outputs' standard
            deviation; None if fewer than two were run.
        tolerance: Largest accepted `output_error`.
        failures: Results outside tolerance, one sentence each.
        warnings: Other facts that users should know, one sentence each.
        signals: Outputs over the rollout, of Keras and of the file.
        remedies: Likely remedies for the failures, one sentence each.
        layout: Layout of inputs, outputs and states; empty before export.
        files: By name, the path of each written file.
        versions: Versions of Python and of the packages that took part; "" if not installed.
        date: When the verification ended, in UTC, as ISO 8601.
        file_sha256: The sha256 of the .tflite file.
        model_sha256: The sha256 of the Keras model's weights and config; a saved and reloaded
            model has the same.
        minimum_runtime: The earliest runtime on phones that returns these numbers; "" for
            microcontrollers.
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
    signals: tuple[Signal, ...] = ()
    remedies: tuple[str, ...] = ()
    layout: tuple[TensorLayout, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    file_sha256: str = ""
    model_sha256: str = ""
    minimum_runtime: str = ""

    @property
    def passed(self) -> bool:
        """Whether all results are within tolerance."""
        return not self.failures

    def save(self, path: str | Path) -> None:
        """Write the report as JSON; values that are not finite become null."""
        with whole_file(path) as file:
            file.write_text(self.json() + "\n")

    def json(self) -> str:
        """The report as JSON; values that are not finite become null."""
        content = finite({**asdict(self), "passed": self.passed})
        return json.dumps(content, indent=2, allow_nan=False)

    def print(self, console: Console | None = None) -> None:
        """Print the report as tables on a `rich.console.Console`."""
        from export.verification.report_text import print_report

        print_report(self, console)

    @property
    def title(self) -> str:
        """Title in one line: model, recipe, target and steps."""
        return f"{self.model}: {self.recipe} for {self.target}, {self.steps:,} closed-loop steps"


def signals(
    reference: dict[str, np.ndarray],
    outputs: dict[str, np.ndarray],
    true_outputs: np.ndarray | None = None,
) -> tuple[Signal, ...]:
    """Return the first rows of the first features of all outputs (n, ...).

    Args:
        reference: Outputs of Keras, by name.
        outputs: Outputs of the file, by name; empty if no runtime was started.
        true_outputs: True values of the only output, or None.
    """
    found = []
    for name, values in reference.items():
        features = values.reshape(len(values), -1)[:SIGNAL_ROWS]
        others = outputs[name].reshape(len(values), -1) if outputs else features[:0]
        true = features[:0] if true_outputs is None else true_outputs.reshape(len(true_outputs), -1)
        # Of one sequence Keras has each step, though only the last one has a true output.
        true = true if len(true) >= len(features) else features[:0]
        for index in range(features.shape[1]):
            columns = [
                tuple(float(x) for x in array[:SIGNAL_ROWS, index])
                for array in (features, others, true)
            ]
            found.append(Signal(name if features.shape[1] == 1 else f"{name}[{index}]", *columns))
    return tuple(found[:SIGNALS])


def finite(content: Any) -> Any:
    """Replace numbers that JSON lacks, NaN and infinity, by None in nested dicts and sequences."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def percent(share: float) -> str:
    """Format a share as percent with three significant digits: 0.0123 -> "1.23 %"."""
    return f"{100 * share:.3g} %"


class VerificationError(RuntimeError):
    """The results of a file are outside tolerance.

    Attributes:
        report: The report of the failed verification.
        folder: The folder with report.html and report.json, or None.
    """

    def __init__(self, report: Report, folder: Path | None = None):
        parts = [
            f"The {report.recipe} file of {report.model!r} failed verification:",
            *report.failures,
            *report.remedies,
        ]
        if folder is not None:
            parts.append(f"The report is in {folder}.")
        super().__init__(" ".join(parts))
        self.report, self.folder = report, folder
