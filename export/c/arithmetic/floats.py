"""The float operations of C code in NumPy, with the same result in every bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

F = np.float32


def sigmoid_values() -> np.ndarray:
    """sigmoid(-16 .. 16) in steps of 1/8 (257,), float32."""
    x = -16.0 + np.arange(257) / 8
    return (1 / (1 + np.exp(-x))).astype("float32")


_SIGMOID = sigmoid_values()
# exp(r) for |r| <= log(2) / 2, from the highest power down: 1/720, 1/120, ..., 1.
EXP = tuple(F(1 / c) for c in (5040, 720, 120, 24, 6, 2, 1, 1))
LOG2E, LOG2_HIGH, LOG2_LOW = F(1.4426950408889634), F(0.693359375), F(-2.12194440e-4)
# 2 atanh(s) = 2 s (1 + s^2/3 + s^4/5 + ...), from the highest power down.
ATANH = tuple(F(2 / c) for c in (11, 9, 7, 5, 3, 1))
ERF = tuple(F(c) for c in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))
ERF_SCALE = F(0.3275911)
# pi in three parts, of which the first two have few bits, so that their multiples are exact.
INVERSE_PI, PI_HIGH, PI_MIDDLE, PI_LOW = (
    F(0.31830987),
    F(3.140625),
    F(9.6702576e-4),
    F(6.2831853e-7),
)
# sin(r) / r^3 - 1 / r^2 for |r| <= pi / 2, from the highest power down.
SIN = tuple(
    F(c)
    for c in (-2.50521084e-08, 2.75573192e-06, -1.98412698e-04, 8.33333333e-03, -1.66666667e-01)
)


def _polynomial(coefficients, x):
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def sigmoid(x):
    """sigmoid by cubic interpolation between table values.

    The slope of sigmoid at a table value y is y (1 - y).
    """
    z = (x + F(16)) * F(8)
    z = np.where(z > 0, z, F(0))
    z = np.where(z < F(255.99998), z, F(255.99998)).astype("float32")
    i = z.astype("int32")
    t = z - i.astype("float32")
    a, b = _SIGMOID[i], _SIGMOID[i + 1]
    rise = b - a
    left = a * (F(1) - a) * F(0.125) - rise
    right = rise - b * (F(1) - b) * F(0.125)
    u = F(1) - t
    y = (a + t * rise) + (t * u) * (u * left + t * right)
    return np.where(x == x, y, x).astype("float32")


def tanh(x):
    """tanh(x) = 2 sigmoid(2 x) - 1"""
    return F(2) * sigmoid(F(2) * x) - F(1)


def exp(x):
    """exp(x) = 2^n exp(r), x = n log(2) + r"""
    z = np.where(x > F(-87), x, F(-87))
    z = np.where(z < F(88), z, F(88)).astype("float32")
    n = (z * LOG2E + np.where(z < 0, F(-0.5), F(0.5)).astype("float32")).astype("int32")
    real = n.astype("float32")
    r = (z - real * LOG2_HIGH) - real * LOG2_LOW
    scale = ((n + 127) << 23).astype("int32").view("float32")
    y = _polynomial(EXP, r) * scale
    return np.where(x == x, y, x).astype("float32")


def log(x):
    """log(m 2^n) = n log(2) + 2 atanh((m - 1) / (m + 1)), for positive x."""
    x = np.asarray(x, "float32")
    positive = np.where(x > F(1.17549435e-38), x, F(1.17549435e-38)).astype("float32")
    bits = positive.view("int32")
    n = (bits >> 23) - 127
    m = ((bits & 0x7FFFFF) | 0x3F800000).astype("int32").view("float32")
    large = m > F(1.41421356)
    m = np.where(large, m * F(0.5), m).astype("float32")
    n = n + large
    s = (m - F(1)) / (m + F(1))
    real = n.astype("float32")
    y = real * LOG2_HIGH + (s * _polynomial(ATANH, s * s) + real * LOG2_LOW)
    return np.where(x == x, y, x).astype("float32")


def square_root(x):
    """The square root by Newton's method from an estimate of its exponent."""
    x = np.asarray(x, "float32")
    y = ((x.view("int32") >> 1) + 0x1FBB4F2E).astype("int32").view("float32")
    for _ in range(4):
        y = F(0.5) * (y + x / y)
    return np.where(x > 0, y, np.where(x == x, F(0), x)).astype("float32")


def sin(x):
    """sin(x) = (-1)^n sin(r), x = n pi + r"""
    x = np.asarray(x, "float32")
    z = x * INVERSE_PI
    z = np.where(np.abs(z) < F(8388608), z, F(0)).astype("float32")
    n = (z + np.where(z < 0, F(-0.5), F(0.5)).astype("float32")).astype("int32")
    real = n.astype("float32")
    r = ((x - real * PI_HIGH) - real * PI_MIDDLE) - real * PI_LOW
    y = r + r * (r * r) * _polynomial(SIN, r * r)
    y = np.where(n & 1, -y, y)
    return np.where(np.abs(x) < F(26000000), y, x - x).astype("float32")


def floor(x):
    """The greatest integer that is not above x."""
    x = np.asarray(x, "float32")
    near = np.abs(x) < F(8388608)
    whole = np.where(near, x, F(0)).astype("int32").astype("float32")
    return np.where(near, np.where(whole > x, whole - F(1), whole), x).astype("float32")


def erf(x):
    """Abramowitz and Stegun, 7.1.26."""
    magnitude = np.abs(x)
    t = F(1) / (F(1) + ERF_SCALE * magnitude)
    y = F(1) - _polynomial(ERF, t) * t * exp(-(magnitude * magnitude))
    return np.where(x < 0, -y, y).astype("float32")


def _truth(function):
    return lambda *arguments: function(*arguments).astype("float32")


FLOAT: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "max": lambda a, b: np.where(a > b, a, b),
    "min": lambda a, b: np.where(a < b, a, b),
    "abs": np.abs,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "exp": exp,
    "log": log,
    "square_root": square_root,
    "erf": erf,
    "sin": sin,
    "floor": floor,
    "less": _truth(lambda a, b: a < b),
    "less_equal": _truth(lambda a, b: a <= b),
    "equal": _truth(lambda a, b: a == b),
    "and": _truth(lambda a, b: (a != 0) & (b != 0)),
    "or": _truth(lambda a, b: (a != 0) | (b != 0)),
    "not": _truth(lambda a: a == 0),
    "is_nan": _truth(lambda a: a != a),
    "is_finite": _truth(lambda a: np.abs(a) <= F(3.4028234e38)),
    "select": lambda c, a, b: np.where(c != 0, a, b),
}
