"""Operations that are composed of others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from export.c.graph.builder import Builder


def softmax(builder: Builder, x: np.ndarray) -> np.ndarray:
    """softmax over the last axis."""
    least = builder.elementwise("sub", x, builder.reduction("max", x)[..., np.newaxis])
    terms = builder.elementwise("exp", least)
    return builder.elementwise("div", terms, builder.reduction("add", terms)[..., np.newaxis])


def log_softmax(builder: Builder, x: np.ndarray) -> np.ndarray:
    """log(softmax) over the last axis."""
    least = builder.elementwise("sub", x, builder.reduction("max", x)[..., np.newaxis])
    total = builder.reduction("add", builder.elementwise("exp", least))[..., np.newaxis]
    return builder.elementwise("sub", least, builder.elementwise("log", total))


def erfc(builder: Builder, x: np.ndarray) -> np.ndarray:
    """1 - erf(x)"""
    return builder.elementwise("sub", builder.number(1.0), builder.elementwise("erf", x))


def relu6(builder: Builder, x: np.ndarray) -> np.ndarray:
    """min(max(x, 0), 6)"""
    positive = builder.elementwise("max", x, builder.number(0.0))
    return builder.elementwise("min", positive, builder.number(6.0))


def exponential_unit(scale: float, alpha: float) -> Callable[..., np.ndarray]:
    """Return scale * (x if x > 0 else alpha * (exp(x) - 1)) as a function."""

    def run(builder: Builder, x: np.ndarray) -> np.ndarray:
        zero = builder.number(0.0)
        negative = builder.elementwise("exp", builder.elementwise("min", x, zero))
        negative = builder.elementwise("sub", negative, builder.number(1.0))
        negative = builder.elementwise("mul", negative, builder.number(alpha * scale))
        positive = builder.elementwise("max", x, zero)
        positive = builder.elementwise("mul", positive, builder.number(scale))
        return builder.elementwise("add", positive, negative)

    return run


def swapped(name: str) -> Callable[..., np.ndarray]:
    """Return an operation with its two arguments in the other order."""
    return lambda builder, x, y: builder.elementwise(name, y, x)


def softsign(builder: Builder, x: np.ndarray) -> np.ndarray:
    """x / (1 + |x|)"""
    magnitude = builder.elementwise("add", builder.elementwise("abs", x), builder.number(1.0))
    return builder.elementwise("div", x, magnitude)


def sign(builder: Builder, x: np.ndarray) -> np.ndarray:
    """-1, 0 or 1."""
    zero, one = builder.number(0.0), builder.number(1.0)
    positive = builder.elementwise("less", zero, x)
    negative = builder.elementwise("less", x, zero)
    nonpositive = builder.elementwise("select", negative, builder.number(-1.0), zero)
    return builder.elementwise("select", positive, one, nonpositive)


def squared_difference(builder: Builder, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(x - y)^2"""
    difference = builder.elementwise("sub", x, y)
    return builder.elementwise("mul", difference, difference)


def is_infinite(builder: Builder, x: np.ndarray) -> np.ndarray:
    """Whether a number is infinite."""
    either = builder.elementwise(
        "or", builder.elementwise("is_finite", x), builder.elementwise("is_nan", x)
    )
    return builder.elementwise("not", either)
