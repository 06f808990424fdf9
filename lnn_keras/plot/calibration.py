"""Calibration of predicted distributions: how often intervals hold the true value."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lnn_keras.argument_checks import require_choice
from lnn_keras.plot import arrays, style
from lnn_keras.plot.distributions import CUMULATIVE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVELS = np.arange(1, 20) / 20
FAMILIES = (*CUMULATIVE, "bernoulli")
BINS = 10
# Half the width of a 95 % interval of a normal distribution, in deviations.
DEVIATIONS = 1.96


def calibration(
    targets: Any,
    lower: Any = None,
    upper: Any = None,
    levels: float | Sequence[float] | None = None,
    mean: Any = None,
    variance: Any = None,
    family: str = "gaussian",
    title: str | None = None,
    size: style.Size | None = None,
) -> "Figure":
    """Draw the share of true values within predicted intervals over the intended share.

    On the diagonal, intervals hold as many values as they should; below it they are too narrow. The
    grey band is where 95 % of the points lie by chance if the distributions are right and the
    values independent. Give either intervals, or the distributions of a family; of a discrete one
    (Poisson), a value at the end of an interval counts with its share of probability (Czado et al.,
    2009). For "bernoulli", the frequency of 1 over its predicted probability in 10 bins.

    Args:
        targets: The true values, any shape.
        lower: Lower ends of intervals, the shape of the targets; or (levels, ...) of several.
        upper: Upper ends of the intervals.
        levels: The intended share of each interval, in (0, 1), for example [0.5, 0.9].
        mean: Means of the distributions, the shape of the targets.
        variance: Variances of them, for "gaussian" and "gamma".
        family: "gaussian", "gamma", "poisson" or "bernoulli".
        title: Title; "" for none.
        size: Width and height in inches.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: Neither or both of intervals and distributions, shapes that differ, levels or
            variances out of range, values that the family does not have, or no known target.

    Example:

    ```python
    family = lnn_keras.families.get("gaussian")
    eta = np.tile(family.natural(np.zeros((1, 2), "float32")), (500, 1))  # outputs of a LEFCell
    mean, variance = family.mean(eta), family.variance(eta)
    targets = np.random.default_rng(0).normal(size=500)
    figure = lnn_keras.plot.calibration(targets, mean=mean, variance=variance)
    ```

    Reference: Czado, Gneiting and Held, Predictive model assessment for count data, Biometrics,
    2009, section 2.1.
    """
    style.require_matplotlib()
    truth = arrays.as_floats("targets", targets)
    if (lower is None and upper is None) == (mean is None):
        raise ValueError(
            "Give either `lower`, `upper` and `levels`, or `mean` of a family (and `variance`); "
            f"received {'both' if mean is not None else 'neither'}."
        )
    known = np.isfinite(truth)
    if mean is None:
        points, counts, known = _of_intervals(truth, lower, upper, levels)
    elif require_choice("family", family, FAMILIES) == "bernoulli":
        probability = _like_targets("mean", mean, truth)
        points, counts, known = _of_probabilities(truth, probability)
    else:
        given = _like_targets("mean", mean, truth), None
        if family != "poisson":
            if variance is None:
                raise ValueError(f"The family {family!r} needs `variance` too; received none.")
            given = given[0], _like_targets("variance", variance, truth)
        points, counts, known = _of_family(truth, *given, family)
    return _drawn(points, counts, known, mean is not None and family == "bernoulli", title, size)


def _like_targets(argument: str, values: Any, targets: np.ndarray) -> np.ndarray:
    array = arrays.as_floats(argument, values)
    if array.shape != targets.shape:
        raise ValueError(
            f"`{argument}` must have the shape of `targets`, {targets.shape}; received "
            f"{array.shape}."
        )
    return array


def _of_intervals(targets, lower, upper, levels):
    """Points (levels, 2), the number of values per level, and which are known."""
    if lower is None or upper is None or levels is None:
        raise ValueError("Intervals need all of `lower`, `upper` and `levels`.")
    shares = np.atleast_1d(arrays.as_floats("levels", levels))
    if shares.ndim != 1 or not ((shares > 0) & (shares < 1)).all():
        raise ValueError(f"`levels` must be numbers above 0 and below 1; received {levels!r}.")
    ends = [arrays.as_floats(name, x) for name, x in (("lower", lower), ("upper", upper))]
    ends = [end[None] if len(shares) == 1 and end.shape == targets.shape else end for end in ends]
    expected = (len(shares), *targets.shape)
    for name, end in zip(("lower", "upper"), ends, strict=True):
        if end.shape != expected:
            raise ValueError(
                f"`{name}` must have the shape {expected}: levels, then that of `targets`; "
                f"received {end.shape}."
            )
    if (ends[0] > ends[1]).any():
        raise ValueError("`lower` must not be above `upper`.")
    known = np.isfinite(targets) & np.isfinite(ends).all(axis=(0, 1))
    inside = (ends[0] <= targets) & (targets <= ends[1])
    observed = [part[known].mean() if known.any() else np.nan for part in inside]
    order = np.argsort(shares, kind="stable")
    points = np.stack([shares, observed], axis=-1)[order]
    return points, np.full(len(points), known.sum()), known


def _of_family(targets, mean, variance, family):
    """Coverage of the central intervals of a family at `LEVELS`."""
    known = np.isfinite(targets) & np.isfinite(mean)
    if variance is not None:
        known &= np.isfinite(variance)
    chosen = [part[known] for part in (targets, mean, variance) if part is not None]
    below, up_to = CUMULATIVE[family](*chosen)
    low, high = (1 - LEVELS[:, None]) / 2, (1 + LEVELS[:, None]) / 2
    # The share of each value's probability that lies within the interval.
    overlap = np.minimum(up_to, high) - np.maximum(below, low)
    width = up_to - below
    inside = np.where(
        width > 1e-9,
        np.clip(overlap, 0, None) / np.maximum(width, 1e-9),
        (low <= up_to) & (up_to <= high),
    )
    observed = inside.mean(axis=1) if known.any() else np.full(len(LEVELS), np.nan)
    return np.stack([LEVELS, observed], axis=-1), np.full(len(LEVELS), known.sum()), known


def _of_probabilities(targets, probability):
    """Frequencies of 1 in bins of the predicted probability."""
    known = np.isfinite(targets) & np.isfinite(probability)
    y, p = targets[known], probability[known]
    if not (np.isin(y, (0, 1)).all() and ((p >= 0) & (p <= 1)).all()):
        raise ValueError(
            "For 'bernoulli', `targets` must be 0 or 1, and `mean` probabilities from 0 to 1."
        )
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    used = np.unique(bins)
    points = [(p[bins == one].mean(), y[bins == one].mean()) for one in used]
    return np.array(points).reshape(-1, 2), np.array([(bins == one).sum() for one in used]), known


def _drawn(points, counts, known, probabilities, title, size):
    with style.new_figure(size, (4.6, 4.9)) as figure:
        axis: Any = figure.subplots()
        line = np.linspace(0, 1, 101)
        if known.any():
            count = np.interp(line, points[:, 0], counts) if probabilities else counts[0]
            half = DEVIATIONS * np.sqrt(line * (1 - line) / np.maximum(count, 1))
            low, high = (100 * np.clip(line + side * half, 0, 1) for side in (-1, 1))
            axis.fill_between(
                100 * line, low, high, color="0.85", linewidth=0, label="95 % of points by chance"
            )
        axis.plot([0, 100], [0, 100], color="0.35", linestyle="--", linewidth=1, label="ideal")
        axis.plot(*(100 * points.T), color=style.BLUE, marker="o", markersize=4, label="observed")
        axis.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
        axis.set_xlabel(
            "predicted probability (%)" if probabilities else "intended share of the interval (%)"
        )
        axis.set_ylabel(
            "observed frequency (%)" if probabilities else "true values within the interval (%)"
        )
        if not known.any():
            style.mark_as_empty(axis, "no value is known")
        else:
            upper, lower = "intervals too wide", "intervals too narrow"
            if probabilities:
                upper, lower = "probability too low", "probability too high"
            axis.text(4, 94, upper, color="0.3", fontsize=8)
            axis.text(96, 4, lower, color="0.3", fontsize=8, ha="right")
        style.set_legend(axis)
        default_title = f"Calibration on {int(known.sum()):,} values"
        style.set_title(figure, default_title if title is None else title)
        missing = int((~known).sum())
        notes = [f"{missing:,} values without target or prediction are left out."]
        style.set_notes(figure, notes if missing else [])
    return figure
