"""Errors of models on a stream whose distribution changes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lnn_keras.argument_checks import require_at_least
from lnn_keras.plot import arrays, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 800


def drift(
    errors: Any,
    change: int | None = None,
    smoothing: int | None = None,
    before: int | None = None,
    after: int | None = None,
    error_name: str = "error",
    step_name: str = "steps",
    title: str | None = None,
    size: style.Size | None = None,
) -> "Figure":
    """Draw the errors of one or several models over a stream, around a change of its distribution.

    Each value is the mean of the last `smoothing` errors, so that the lines show a change no
    earlier than it happened.

    Args:
        errors: Errors of at least 0 per step (time,), or a mapping from names of models to such.
        change: The step of the change, or None.
        smoothing: Number of errors per mean; by default a fiftieth of the steps, at most 200.
        before: Steps before the change to draw; by default all.
        after: Steps after the change to draw; by default all.
        error_name: Name of the error, with its unit if it has one.
        step_name: Name of the steps.
        title: Title; "" for none.
        size: Width and height in inches.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: Errors of different lengths or below 0, a change outside of them, or a
            `smoothing` above their number.

    Example:

    ```python
    random = np.random.default_rng(0)
    frozen = random.exponential(np.repeat([1.0, 3.0], 500))
    figure = lnn_keras.plot.drift({"frozen": frozen, "adaptive": frozen**0.5}, change=500)
    ```
    """
    style.require_matplotlib()
    found = _checked(errors)
    steps = len(next(iter(found.values())))
    if change is not None:
        change = require_at_least(0, "change", change)
        if change >= steps:
            raise ValueError(
                f"`change` must be below the number of steps, {steps}; received {change}."
            )
    length = max(1, min(200, steps // 50)) if smoothing is None else smoothing
    length = require_at_least(1, "smoothing", length)
    if length > steps:
        raise ValueError(
            f"`smoothing` must be at most the number of steps, {steps}; received {length}."
        )
    origin = change or 0
    first = 0 if before is None else max(0, origin - require_at_least(0, "before", before))
    last = steps if after is None else min(steps, origin + require_at_least(1, "after", after))
    notes = [
        note for name in found for note in arrays.missing_note(f"errors of {name}", found[name])
    ]
    with style.new_figure(size, (8.0, 3.5)) as figure:
        axis: Any = figure.subplots()
        if change is not None:
            axis.axvline(0, color="0.35", linestyle=":", linewidth=1, label="change")
        for place, (name, values) in enumerate(found.items()):
            x = np.arange(length - 1, steps)
            means = _running_mean(values, length)
            inside = np.flatnonzero((x >= first) & (x <= last))
            # A picture shows no more points.
            inside = inside[:: max(1, len(inside) // MOST_POINTS)]
            line = style.SERIES[place % len(style.SERIES)]
            shown = means[inside]
            axis.plot(x[inside] - origin, shown, label=name, **line, **style.marker_of(shown))
        axis.set_ylim(bottom=0)
        ends = first - origin, last - 1 - origin
        axis.set_xlim(*(ends if ends[0] < ends[1] else (ends[0] - 0.5, ends[0] + 0.5)))
        axis.set_ylabel(error_name)
        means = f" (each the mean of the last {length:,})" if length > 1 else ""
        since = " after the change" if change is not None else ""
        axis.set_xlabel(f"{step_name}{since}{means}")
        if all(np.isnan(values).all() for values in found.values()):
            style.mark_as_empty(axis, "every value is missing")
        style.set_legend(axis)
        around = " around a change" if change is not None else " over the stream"
        style.set_title(figure, f"Error{around}" if title is None else title)
        style.set_notes(figure, notes)
    return figure


def _checked(errors: Any) -> dict[str, np.ndarray]:
    series = errors if isinstance(errors, Mapping) else {"error": errors}
    if not series:
        raise ValueError("`errors` must hold at least one series; received none.")
    found = {
        str(name): arrays.as_floats(f"errors[{name!r}]", values) for name, values in series.items()
    }
    shapes = {array.shape for array in found.values()}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        texts = ", ".join(f"{name!r} {array.shape}" for name, array in found.items())
        raise ValueError(f"Errors must all have the same shape (time,); received {texts}.")
    if any((array < 0).any() for array in found.values()):
        raise ValueError("Errors must be at least 0, for example squared or absolute ones.")
    return found


def _running_mean(values: np.ndarray, length: int) -> np.ndarray:
    """Means of all windows of a length, over the known values; NaN without one."""
    known = np.isfinite(values)
    sums, counts = (
        np.cumsum(np.concatenate([[0.0], part])) for part in (np.where(known, values, 0), known)
    )
    count = counts[length:] - counts[:-length]
    return np.where(count > 0, (sums[length:] - sums[:-length]) / np.maximum(count, 1), np.nan)
