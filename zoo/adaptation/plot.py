"""Plots of the error of several methods around a change, as SVG with the same bytes every time."""

import io
from collections.abc import Mapping

import numpy as np

from zoo.adaptation.results import running_mean
from zoo.extras import extra

SMOOTHING = 200
BEFORE, AFTER = 1000, 4000


def errors_around(
    change: int, errors: Mapping[str, np.ndarray], title: str, label: str = "mean squared error"
) -> bytes:
    """The error of each method, averaged over the last steps, around a change.

    Args:
        change: The step of the change.
        errors: Squared errors (time,) by method.
        title: Title of the plot.
        label: Label of the vertical axis.
    """
    with extra("zoo"):
        import matplotlib
        from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axis = figure.subplots()
    for place, (name, values) in enumerate(errors.items()):
        smooth = running_mean(values, SMOOTHING)
        steps = np.arange(SMOOTHING - 1, len(values)) - change
        shown = (steps >= -BEFORE) & (steps <= AFTER)
        color = "0.4" if place == 0 else f"C{place - 1}"
        axis.plot(steps[shown], smooth[shown], color=color, linewidth=1.4, label=name)
    axis.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    axis.set_ylim(bottom=0)
    axis.set_xlim(-BEFORE, min(AFTER, len(next(iter(errors.values()))) - change))
    axis.set_xlabel(f"steps after the change (mean of the last {SMOOTHING})")
    axis.set_ylabel(label)
    axis.set_title(title, loc="left", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "lnn", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()
