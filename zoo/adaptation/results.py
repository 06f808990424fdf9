"""Results of the ways to adapt on streams: predict first, then learn."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.adaptation.methods import METHODS
from zoo.adaptation.streams import (
    Stream,
    etth1_stream,
    half_cheetah_streams,
    load,
    metro_stream,
)

# Steps after a change that do not count, and the length of the windows that are compared.
SETTLING, WINDOW = 500, 1000
HEADINGS = (
    "stream",
    "method",
    "error before",
    "error after",
    "excess removed",
    "worst window",
    "numbers kept",
    "operations",
)


@dataclass(frozen=True)
class Result:
    """A method on a stream.

    Attributes:
        stream: Name of the stream.
        method: Name of the method.
        errors: Squared error of each step, averaged over outputs (time,).
        before: Mean squared error before the change; of the whole stream if nothing changes.
        after: The same from 500 steps after the change on; None if nothing changes.
        removed: The part of the excess error after the change that is gone; None where the least
            possible error is not known.
        worst: The largest ratio of the mean error in 1,000 steps to that of the frozen model.
        numbers: Numbers that the method keeps.
        operations: Multiply-accumulates of an adapting step.
        log: What the guards did.
    """

    stream: str
    method: str
    errors: np.ndarray
    before: float
    after: float | None
    removed: float | None
    worst: float
    numbers: int
    operations: int
    log: dict[str, Any] | None

    def cells(self) -> tuple[str, ...]:
        """The cells of a table, see `HEADINGS`."""
        return (
            self.stream,
            self.method,
            f"{self.before:.4g}",
            "" if self.after is None else f"{self.after:.4g}",
            "" if self.removed is None else f"{100 * self.removed:.1f} %",
            f"{self.worst:.3f}",
            f"{self.numbers:,}",
            f"{self.operations:,}",
        )


def streams() -> tuple[Stream, ...]:
    """All streams."""
    return (*half_cheetah_streams(), metro_stream(), etth1_stream())


def results(chosen: Sequence[Stream]) -> Iterator[Result]:
    """Every method on every stream, as they are measured.

    Args:
        chosen: Streams; those of a model in which nothing changes come first.
    """
    models: dict[str, Any] = {}
    unchanged: dict[str, np.ndarray] = {}
    for stream in chosen:
        if stream.model not in models:
            models[stream.model] = load(stream.model)
        model = models[stream.model]
        frozen = np.zeros(0)
        for name, method in METHODS.items():
            prediction = method(model, stream)
            errors = np.mean((prediction.outputs - stream.targets) ** 2, axis=-1)
            if name == "frozen":
                frozen = errors
                if stream.change is None:
                    unchanged[stream.model] = errors
            rows = slice(0, stream.change)
            settled = None if stream.change is None else stream.change + SETTLING
            yield Result(
                stream=stream.name,
                method=name,
                errors=errors,
                before=float(errors[rows].mean()),
                after=None if settled is None else float(errors[settled:].mean()),
                removed=_removed(stream, errors, frozen, unchanged.get(stream.model)),
                worst=worst_window(errors, frozen),
                numbers=prediction.numbers,
                operations=prediction.operations,
                log=prediction.log,
            )


def _removed(stream, errors, frozen, unchanged):
    """The part of the frozen model's excess error after a change that a method removes."""
    if stream.change is None or stream.floor is None or unchanged is None or errors is frozen:
        return None
    rows = slice(stream.change + SETTLING, None)
    least = stream.floor * unchanged[rows].mean()
    return float((frozen[rows].mean() - errors[rows].mean()) / (frozen[rows].mean() - least))


def worst_window(errors: np.ndarray, frozen: np.ndarray, length: int = WINDOW) -> float:
    """The largest ratio of mean errors over windows of a length."""
    length = min(length, len(errors))
    return float(np.max(running_mean(errors, length) / running_mean(frozen, length)))


def running_mean(values: np.ndarray, length: int) -> np.ndarray:
    """Means of all windows of a length."""
    sums = np.cumsum(np.concatenate([[0.0], values.astype("float64")]))
    return (sums[length:] - sums[:-length]) / length


def errors_by(found: Iterable[Result], stream: str) -> dict[str, np.ndarray]:
    """The errors of each method on a stream."""
    return {result.method: result.errors for result in found if result.stream == stream}
