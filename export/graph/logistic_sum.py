"""Functions of one variable as sums of logistic functions, fitted on their calibrated range.

Near a pole or on a long tail, as 1/sqrt(x) and exp(x) have, no polynomial of low degree fits. These
functions are sums of decaying exponentials of several rates (Braess and Hackbusch, Approximation
of 1/x by exponential sums in [1, inf), 2005). Integer kernels have the logistic function
s(z) = 1 / (1 + exp(-z)), whose tail decays in the same way:

    f(x) = constant + sum_k weights[k] s(-rates[k] u),

where u is the distance of x from the pole, or from the upper end of the range.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

TOLERANCE = 1e-3
# Rates double from term to term. Finer rates cancel each other.
MAX_TERMS = 24
# Largest sum of weights, of the largest value; the errors of the kernels grow with it.
MAX_GAIN = 20.0
RIDGE = 1e-6
MARGIN = 0.1
# Distances from the pole at which the error is measured, and the smallest, of the largest.
POINTS, SMALLEST = 1000, 1e-7


@dataclass(frozen=True)
class LogisticSum:
    """f(x) = constant + sum_k weights[k] s(slopes[k] x + intercepts[k]), for every element.

    Attributes:
        slopes: (terms,).
        intercepts: (terms,).
        weights: (terms,).
        constant: The constant.
        error: Largest relative error on the range.
    """

    slopes: np.ndarray
    intercepts: np.ndarray
    weights: np.ndarray
    constant: float
    error: float

    def __call__(self, x: Any) -> Any:
        """Evaluate on a tensor with a static shape."""
        import tensorflow as tf

        # One value broadcasts against the terms, several need an axis for them.
        spread = x if x.shape[-1] == 1 else tf.reshape(x, (*x.shape, 1))
        terms = tf.sigmoid(spread * self.slopes + self.intercepts)
        # Kernels have a 16-bit mean, but no sum.
        mean = tf.reduce_mean(terms * (self.weights * np.float32(len(self.weights))), -1, True)
        return tf.reshape(mean, x.shape) + self.constant


def fit(
    function: Callable[[np.ndarray], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    pole: float | None = None,
    relative: bool = False,
) -> LogisticSum:
    """Fit a sum of logistic functions on [low, high], the same one for all elements.

    Args:
        function: A function of arrays.
        low: Lower end of each element's range.
        high: Upper end of each element's range.
        pole: Where the function is steepest or infinite, at or beyond an end of the range. Without
            a pole, the function must decay like exp(x) towards the lower end.
        relative: Whether errors are relative to each value, or else to the largest magnitude.

    Raises:
        ValueError: No sum is within the tolerance.
    """
    least, greatest = float(np.min(low)), float(np.max(high))
    least, greatest = _widened(least, greatest, pole)
    origin = greatest if pole is None else pole
    sign = 1.0 if origin <= least else -1.0
    nearest, farthest = sorted((abs(least - origin), abs(greatest - origin)))
    if pole is None:
        slowest, distance = 1.0, np.linspace(0.0, farthest, POINTS)
    else:
        slowest = 0.25 / farthest
        distance = np.geomspace(max(nearest, SMALLEST * farthest), farthest, POINTS)
    values = function(origin + sign * distance)
    largest = np.abs(values).max()
    units = np.abs(values) if relative else np.full(POINTS, largest)
    error = np.inf
    for count in range(2, MAX_TERMS + 1):
        rates = slowest * 2.0 ** np.arange(count)
        coefficients, error = _least_squares(distance, values, units, rates)
        if error <= TOLERANCE and np.abs(coefficients).sum() <= MAX_GAIN * largest:
            return LogisticSum(
                slopes=(-rates * sign).astype("float32"),
                intercepts=(rates * sign * origin).astype("float32"),
                weights=coefficients[1:].astype("float32"),
                constant=float(coefficients[0]),
                error=float(error),
            )
    raise ValueError(
        f"no sum of {MAX_TERMS} or fewer logistic functions approximates it on [{least:.4g}, "
        f"{greatest:.4g}]: the error is {error:.2g}; allowed: {TOLERANCE:g}"
    )


def _widened(least, greatest, pole):
    """The range with a margin on the side away from the pole, and a smaller one towards it."""
    margin = MARGIN * max(greatest - least, 1e-3 * max(abs(least), abs(greatest)), 1e-6)
    if pole is None:
        return least - margin, greatest + margin
    if pole <= least:
        return pole + (least - pole) / (1 + MARGIN), greatest + margin
    return least - margin, pole - (pole - greatest) / (1 + MARGIN)


def _least_squares(distance, values, units, rates):
    """Coefficients of 1 and of each term, and the largest error in the given units."""
    logistic = 0.5 - 0.5 * np.tanh(0.5 * rates * distance[:, np.newaxis])
    basis = np.column_stack([np.ones_like(distance), logistic])
    # A little regularization keeps terms from cancelling each other.
    scale = np.linalg.norm(basis / units[:, np.newaxis], axis=0)
    system = np.concatenate([basis / units[:, np.newaxis], np.diag(RIDGE * scale)])
    target = np.concatenate([values / units, np.zeros(len(scale))])
    coefficients = np.linalg.lstsq(system, target, rcond=None)[0]
    return coefficients, np.abs((basis @ coefficients - values) / units).max()
