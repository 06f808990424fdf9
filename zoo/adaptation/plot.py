"""Plots of the errors of several methods over a stream, with the same bytes every time."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from lnn_keras.plot import drift
from zoo.svg import svg_text

SMOOTHING = 200
BEFORE, AFTER = 1000, 4000


def errors_around(change: int, errors: Mapping[str, np.ndarray], title: str) -> bytes:
    """The error of each method, averaged over the last steps, around a change, as SVG.

    Args:
        change: The step of the change.
        errors: Squared errors (time,) by method; the first one is that of the frozen model.
        title: Title of the plot.
    """
    figure = drift(
        errors,
        change,
        smoothing=SMOOTHING,
        before=BEFORE,
        after=AFTER,
        error_name="mean squared error",
        title=title,
    )
    return svg_text(figure, "errors").encode()


def errors_over_time(errors: Mapping[str, np.ndarray], form: str) -> bytes:
    """The error of each method over a stream, averaged over the last steps.

    Args:
        errors: Squared errors (time,) by method; the first one is that of the frozen model.
        form: "png" or "svg".
    """
    count = len(next(iter(errors.values())))
    length = max(1, min(SMOOTHING, count // 10))
    figure = drift(
        errors,
        smoothing=length,
        error_name="mean squared error / variance",
        step_name="rows with a target",
        title="",
    )
    return svg_text(figure, "errors").encode() if form == "svg" else _png(figure)


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()
