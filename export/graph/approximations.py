"""Operations of one variable that integer kernels lack, approximated on their calibrated range.

Each entry of `APPROXIMATED` builds an operation's replacement from the range of its argument. A
polynomial comes first, then a sum of logistic functions. Functions with a corner are first split
into native operations, which have the corner, and a smooth rest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from export.graph import logistic_sum, polynomial

Range: TypeAlias = tuple[np.ndarray, np.ndarray]
Function: TypeAlias = Callable[..., Any]

_EVERYWHERE = (-np.inf, np.inf)
# erf(x) = tanh(x (c0 + c1 x^2)) within 3.3e-4, fitted by least squares.
_ERF = (1.12932508, 0.10030171)
# Constants of selu (Klambauer et al., Self-Normalizing Neural Networks, 2017).
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@dataclass(frozen=True)
class Approximated:
    """An operation that can be approximated.

    Attributes:
        build: From the least and greatest value of each element of its argument to a function
            from the operation's inputs to its output.
        argument: Index of the argument among its inputs.
    """

    build: Callable[[np.ndarray, np.ndarray], Function]
    argument: int = 0


def approximate(
    function: Function,
    low: np.ndarray,
    high: np.ndarray,
    pole: float | None = None,
    relative: bool = False,
) -> Function:
    """Return a polynomial within its tolerance of a function, or else a sum of logistic functions.

    Args:
        function: A smooth function of arrays.
        low: Lower end of each element's range.
        high: Upper end of each element's range.
        pole: Where the function is infinite or has an infinite slope, if anywhere.
        relative: Whether a sum's errors count relative to each value.

    Raises:
        ValueError: Neither is within its tolerance.
    """
    domain = _EVERYWHERE
    if pole is not None:
        domain = (pole, np.inf) if pole <= np.min(low) else (-np.inf, pole)
    try:
        return polynomial.fit(function, low, high, domain)
    except ValueError as error:
        try:
            return logistic_sum.fit(function, low, high, pole, relative)
        except ValueError as second:
            raise ValueError(f"{error}; {second}") from None


def _smooth(function, pole=None, relative=False):
    def build(low, high):
        if pole is not None and np.min(low) < pole:
            raise ValueError(
                f"its argument leaves the domain x >= {pole:g} on the calibration data: its range "
                f"is [{np.min(low):.4g}, {np.max(high):.4g}]"
            )
        return approximate(function, low, high, pole, relative)

    return build


def _divide(low, high):
    if not ((low > 0).all() or (high < 0).all()):
        raise ValueError(
            "its denominator comes too close to 0 on the calibration data: its range is "
            f"[{low.min():.4g}, {high.max():.4g}]"
        )
    reciprocal = approximate(np.reciprocal, low, high, pole=0.0, relative=True)
    return lambda numerator, denominator: numerator * reciprocal(denominator)


def _reciprocal(low, high):
    divide = _divide(low, high)
    return lambda x: divide(1.0, x)


def _softplus(low, high):
    import tensorflow as tf

    try:
        return polynomial.fit(lambda x: np.logaddexp(0, x), low, high)
    except ValueError:
        # softplus(x) = relu(x) + log(1 + exp(-|x|)), whose second term decays like exp(-|x|).
        largest = np.maximum(np.abs(low), np.abs(high))
        tail = logistic_sum.fit(lambda z: np.log1p(np.exp(z)), -largest, np.zeros_like(largest))
        return lambda x: tf.nn.relu(x) + tail(tf.abs(x) * -1.0)


def _softsign(low, high):
    import tensorflow as tf

    largest = np.maximum(np.abs(low), np.abs(high))
    reciprocal = approximate(
        lambda magnitude: 1 / (1 + magnitude), np.zeros_like(largest), largest, -1.0, True
    )
    return lambda x: x * reciprocal(tf.abs(x))


def _expm1(low, high):
    try:
        # As a product with x it is exactly 0 at 0, so that no offset accumulates in a state.
        factor = polynomial.fit(_expm1_over_x, low, high)
    except ValueError:
        return approximate(np.expm1, low, high)
    return lambda x: x * factor(x)


def _expm1_over_x(x):
    return np.where(x == 0, 1.0, np.expm1(x) / np.where(x == 0, 1.0, x))


def _elu(scale, alpha):
    def build(low, high):
        import tensorflow as tf

        expm1 = _expm1(np.minimum(low, 0), np.minimum(high, 0))

        def elu(x):
            # A minimum would impose its own range on x.
            negative = tf.nn.relu(x * -1.0) * -1.0
            return tf.nn.relu(x) * scale + expm1(negative) * (scale * alpha)

        return elu

    return build


def _erf(x):
    import tensorflow as tf

    return tf.tanh(x * (x * x * _ERF[1] + _ERF[0]))


APPROXIMATED = {
    "Cos": Approximated(_smooth(np.cos)),
    "Elu": Approximated(_elu(1.0, 1.0)),
    "Exp": Approximated(_smooth(np.exp)),
    "Expm1": Approximated(_expm1),
    "Inv": Approximated(_reciprocal),
    "Log": Approximated(_smooth(np.log, pole=0.0)),
    "Log1p": Approximated(_smooth(np.log1p, pole=-1.0)),
    "RealDiv": Approximated(_divide, argument=1),
    "Reciprocal": Approximated(_reciprocal),
    "Rsqrt": Approximated(_smooth(lambda x: x**-0.5, pole=0.0, relative=True)),
    "Selu": Approximated(_elu(_SELU_SCALE, _SELU_ALPHA)),
    "Sin": Approximated(_smooth(np.sin)),
    "Softplus": Approximated(_softplus),
    "Softsign": Approximated(_softsign),
    "Sqrt": Approximated(_smooth(np.sqrt, pole=0.0)),
}
# Without a range: these hold everywhere.
ERF = {"Erf": _erf, "Erfc": lambda x: 1.0 - _erf(x)}
