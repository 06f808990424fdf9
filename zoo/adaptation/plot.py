"""Plots of the errors of several methods over a stream, with the same bytes every time."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.adaptation.results import running_mean
from zoo.extras import extra

SMOOTHING = 200
BEFORE, AFTER = 1000, 4000
MOST_POINTS = 800


def errors_around(change: int, errors: Mapping[str, np.ndarray], title: str) -> bytes:
    """The error of each method, averaged over the last steps, around a change, as SVG.

    Args:
        change: The step of the change.
        errors: Squared errors (time,) by method; the first one is that of the frozen model.
        title: Title of the plot.
    """
    figure, axis = _lines(errors, change, SMOOTHING)
    axis.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    axis.set_xlim(-BEFORE, min(AFTER, len(next(iter(errors.values()))) - change))
    axis.set_xlabel(f"steps after the change (mean of the last {SMOOTHING})")
    axis.set_ylabel("mean squared error")
    axis.set_title(title, loc="left", fontsize=10, pad=22)
    return _written(figure, "svg")


def errors_over_time(errors: Mapping[str, np.ndarray], form: str) -> bytes:
    """The error of each method over a stream, averaged over the last steps.

    Args:
        errors: Squared errors (time,) by method; the first one is that of the frozen model.
        form: "png" or "svg".
    """
    count = len(next(iter(errors.values())))
    length = max(1, min(SMOOTHING, count // 10))
    figure, axis = _lines(errors, 0, length)
    axis.set_xlabel(f"rows with a target (mean of the last {length})")
    axis.set_ylabel("mean squared error / variance")
    return _written(figure, form)


def _lines(errors: Mapping[str, np.ndarray], origin: int, length: int) -> tuple[Any, Any]:
    """A figure with one line per method."""
    with extra("zoo"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axis = figure.subplots()
    for place, (name, values) in enumerate(errors.items()):
        steps = np.arange(length - 1, len(values)) - origin
        # A picture shows no more points.
        every = slice(None, None, max(1, len(steps) // MOST_POINTS))
        color = "0.4" if place == 0 else f"C{place - 1}"
        means = running_mean(values, length)[every]
        axis.plot(steps[every], means, color=color, linewidth=1.4, label=name)
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    # Between the title and the lines.
    axis.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(-0.01, 0.98), ncols=4)
    return figure, axis


def _written(figure: Any, form: str) -> bytes:
    """A figure as bytes, the same every time."""
    import matplotlib

    file = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "lnn", "svg.fonttype": "none"}):
        figure.savefig(file, format=form, dpi=110, metadata=metadata)
    return file.getvalue()
