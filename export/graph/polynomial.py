"""Functions of one variable as polynomials, fitted per element on its calibrated range.

On the range, u = (x - middle) / half lies in [-1, 1]. Interpolation at the Chebyshev nodes is
within a factor of about 2 log(degree) of the best polynomial of that degree (Trefethen,
Approximation Theory and Approximation Practice, ch. 15). Evaluation takes only multiplications
and additions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebpts1
from numpy.polynomial.polynomial import polyfit

MAX_DEGREE = 10
TOLERANCE = 1e-4
# Width by which the fitted range exceeds the calibrated one, as a share of the latter.
MARGIN = 0.1


@dataclass(frozen=True)
class Polynomial:
    """p(x) = sum_k coefficients[k] u^k with u = slope x + intercept, per element.

    Attributes:
        slope: Slope of u, per element.
        intercept: Intercept of u, per element.
        coefficients: (degree + 1, *shape of an element).
        error: Largest error on the range, relative to the function's largest magnitude.
    """

    slope: np.ndarray
    intercept: np.ndarray
    coefficients: np.ndarray
    error: float

    def __call__(self, x: Any) -> Any:
        """Evaluate on arrays or tensors by Horner's rule."""
        u = x * self.slope + self.intercept
        result = self.coefficients[-1]
        for coefficient in self.coefficients[-2::-1]:
            result = u * result + coefficient
        return result


def fit(
    function: Callable[[np.ndarray], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    domain: tuple[float, float] = (-np.inf, np.inf),
) -> Polynomial:
    """Fit the polynomial of least degree within `TOLERANCE` of a function on [low, high].

    Args:
        function: A smooth function of arrays.
        low: Lower end of each element's range.
        high: Upper end of each element's range.
        domain: Domain of the function; the ranges are widened only within it.

    Raises:
        ValueError: No degree up to `MAX_DEGREE` is within the tolerance.
    """
    low, high = np.asarray(low, "float64"), np.asarray(high, "float64")
    # The second term gives a constant element a range of nonzero width.
    margin = MARGIN * (high - low) + 1e-3 * np.maximum(np.abs(high), 1e-3)
    bounds = [0.5 * (end + value) for end, value in zip(domain, (low, high), strict=True)]
    low, high = np.maximum(low - margin, bounds[0]), np.minimum(high + margin, bounds[1])
    middle, half = (low + high) / 2, (high - low) / 2

    def on_range(u):
        return function(middle + half * u.reshape(-1, *[1] * middle.ndim))

    probe = np.linspace(-1, 1, 101)
    exact = on_range(probe)
    largest = np.abs(exact).max()
    error = np.inf
    for degree in range(1, MAX_DEGREE + 1):
        nodes = chebpts1(degree + 1)
        coefficients = polyfit(nodes, on_range(nodes).reshape(degree + 1, -1), degree)
        powers = probe[:, None] ** np.arange(degree + 1)
        error = np.abs(powers @ coefficients - exact.reshape(len(probe), -1)).max() / largest
        if error <= TOLERANCE:
            return Polynomial(
                slope=(1 / half).astype("float32"),
                intercept=(-middle / half).astype("float32"),
                coefficients=coefficients.reshape(-1, *middle.shape).astype("float32"),
                error=float(error),
            )
    raise ValueError(
        f"no polynomial of degree {MAX_DEGREE} or less approximates it on [{low.min():.4g}, "
        f"{high.max():.4g}]: the error is {error:.2g} of its largest magnitude; "
        f"allowed: {TOLERANCE:g}"
    )
