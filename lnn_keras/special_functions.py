"""The gamma function's logarithm and its derivatives, which Keras does not have.

For x > 0: the recurrence up to x + 6, then the asymptotic series.

Reference: Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 6.1.41, 6.3.18 and
6.4.12.
"""

import math

from lnn_keras.tensors import Tensor, ops

# Steps of the recurrence, after which three terms of the series reach float32 precision.
SHIFT = 6


def log_gamma(x: Tensor) -> Tensor:
    """ln Gamma(x) for x > 0, elementwise."""
    below = sum(ops.log(x + i) for i in range(SHIFT))
    x = x + SHIFT
    z = 1 / x
    series = z * (1 / 12 - z**2 * (1 / 360 - z**2 / 1260))
    return (x - 0.5) * ops.log(x) - x + 0.5 * math.log(2 * math.pi) + series - below


def digamma(x: Tensor) -> Tensor:
    """The derivative of ln Gamma(x) for x > 0, elementwise."""
    below = sum(1 / (x + i) for i in range(SHIFT))
    z = 1 / (x + SHIFT)
    return -ops.log(z) - z / 2 - z**2 * (1 / 12 - z**2 / 120) - below


def trigamma(x: Tensor) -> Tensor:
    """The second derivative of ln Gamma(x) for x > 0, elementwise."""
    below = sum(1 / (x + i) ** 2 for i in range(SHIFT))
    z = 1 / (x + SHIFT)
    return z + z**2 / 2 + z**3 * (1 / 6 - z**2 * (1 / 30 - z**2 / 42)) + below
