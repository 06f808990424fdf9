"""Cumulative distribution functions of the exponential families that calibration needs."""

import math
from collections.abc import Callable

import numpy as np

Bounds = tuple[np.ndarray, np.ndarray]

# Terms of the series and of the continued fraction below.
MOST_TERMS = 2000
TINY = 1e-300


def gaussian(y: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> Bounds:
    """P(Y < y) and P(Y <= y) of normal distributions."""
    _require(variance > 0, "Variances of 'gaussian' must be above 0.")
    z = (y - mean) / np.sqrt(2 * variance)
    cumulative = 0.5 * (1 + np.array([math.erf(value) for value in z]))
    return cumulative, cumulative


def gamma(y: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> Bounds:
    """P(Y < y) and P(Y <= y) of gamma distributions."""
    _require(
        (y > 0) & (mean > 0) & (variance > 0),
        "Targets, means and variances of 'gamma' must be above 0.",
    )
    cumulative = regularized_gamma(mean**2 / variance, y * mean / variance)
    return cumulative, cumulative


def poisson(y: np.ndarray, mean: np.ndarray) -> Bounds:
    """P(Y < y) and P(Y <= y) of Poisson distributions."""
    _require(
        (y >= 0) & (y == np.round(y)) & (mean > 0),
        "Targets of 'poisson' must be counts 0, 1, 2, ..., and means above 0.",
    )
    up_to = 1 - regularized_gamma(y + 1, mean)
    below = np.where(y > 0, 1 - regularized_gamma(np.maximum(y, 1), mean), 0.0)
    return below, up_to


CUMULATIVE: dict[str, Callable[..., Bounds]] = {
    "gaussian": gaussian,
    "gamma": gamma,
    "poisson": poisson,
}


def regularized_gamma(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """P(a, x), the regularized lower incomplete gamma function of a > 0, x > 0.

    Below a + 1 by its series, above by the continued fraction of 1 - P (modified Lentz method).

    Reference: Press et al., Numerical Recipes, 3rd edition, 2007, section 6.2.
    """
    log_gamma = np.array([math.lgamma(value) for value in a])
    scale = np.exp(a * np.log(x) - x - log_gamma)
    small = x < a + 1
    # Each branch is computed at a point where it converges, and chosen below.
    series = scale * _series(a, np.where(small, x, a))
    fraction = 1 - scale * _fraction(a, np.where(small, a + 1, x))
    return np.clip(np.where(small, series, fraction), 0, 1)


def _series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    term = 1 / a
    total = term.copy()
    for n in range(1, MOST_TERMS):
        term = term * x / (a + n)
        total += term
        if (term < 1e-13 * total).all():
            break
    return total


def _fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    b = x + 1 - a
    c = np.full_like(x, 1 / TINY)
    d = 1 / np.where(np.abs(b) < TINY, TINY, b)
    h = d.copy()
    for n in range(1, MOST_TERMS):
        numerator = -n * (n - a)
        b = b + 2
        d = numerator * d + b
        d = 1 / np.where(np.abs(d) < TINY, TINY, d)
        c = b + numerator / c
        c = np.where(np.abs(c) < TINY, TINY, c)
        h = h * d * c
        if (np.abs(d * c - 1) < 1e-12).all():
            break
    return h


def _require(valid: np.ndarray, message: str) -> None:
    if not np.all(valid):
        raise ValueError(f"{message} {int(np.sum(~valid))} of {valid.size} values are not.")
