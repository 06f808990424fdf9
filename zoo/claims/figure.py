"""The figure of robustness: the errors that noise and missing samples add, by layer."""

from typing import Any

import numpy as np

from lnn_keras.plot import style
from zoo.claims.changes import MISSING, NOISE
from zoo.claims.models import LAYERS
from zoo.claims.results import Findings

# Levels on the horizontal axis, and the measurements of each.
ROWS = (
    ("noise, standard deviations", NOISE, [f"noise {level:g}" for level in NOISE]),
    (
        "missing samples, %",
        [100 * share for share in MISSING],
        [f"{100 * share:.0f} % missing" for share in MISSING],
    ),
)


def has_streams(findings: Findings) -> bool:
    """Whether the errors on changed test sequences were measured."""
    by_name = [layers[name] for layers in findings.values.values() for name in layers]
    return bool(by_name) and all("streams" in found for found in by_name)


def robustness(findings: Findings) -> Any:
    """A figure with a panel for each task and disturbance, and a line for each layer.

    Args:
        findings: Measured values with "streams".
    """
    tasks = list(findings.values)
    with style.new_figure(None, (2.7 * len(tasks) + 0.6, 5.2)) as figure:
        panels = figure.subplots(len(ROWS), len(tasks), squeeze=False)
        for (label, levels, names), row in zip(ROWS, panels, strict=True):
            for task, axis in zip(tasks, row, strict=True):
                for layer, look in zip(findings.choice.layers, style.SERIES, strict=False):
                    runs = findings.values[task][layer]["streams"]
                    added = [np.mean([run[name] for run in runs]) for name in names]
                    title = LAYERS[layer].title
                    axis.plot([0, *levels], [0, *added], label=title, marker=".", **look)
                axis.set_xlabel(label)
                axis.set_title(task)
            row[0].set_ylabel("added error")
        lines = panels[0, 0].get_lines()
        figure.legend(handles=lines, loc="outside upper left", ncols=min(3, len(lines)))
    return figure
