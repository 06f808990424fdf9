"""The operations of C code in NumPy, with the same result in every bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from export.c.arithmetic.expressions import Table

# tanh(x / 2) for x from 0 to 12, in steps of 1/32. Greater ones have the last value.
STEPS, LAST = 32, 12
SHIFT = 10  # of an argument with 15 fractional bits


def tanh_values() -> np.ndarray:
    """tanh(x / 2) for x = 0 .. 12 in steps of 1/32, with 15 fractional bits (385,)."""
    x = np.arange(LAST * STEPS + 1) / STEPS
    return np.minimum(np.round(2**15 * np.tanh(x / 2)), 32767).astype("int64")


_TANH = tanh_values()


def multiply_high(a, b):
    """(a b + 2^31) >> 32"""
    return (a * b + (1 << 31)) >> 32


def shift_right(a, shift: int):
    """a / 2^shift, rounded."""
    return (a + (1 << (shift - 1))) >> shift


def saturate(a, bits: int):
    """The number in `bits` bits with sign."""
    return np.clip(a, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def divide(a, b):
    """a / b, rounded."""
    half = np.abs(b) >> 1
    numerator = np.where(a < 0, a - half, a + half)
    return np.sign(numerator) * np.sign(b) * (np.abs(numerator) // np.abs(b))


def half_tanh(a):
    """tanh(x / 2) of a number x with 15 fractional bits, by table; 15 fractional bits."""
    y = _interpolated(_TANH, np.minimum(np.abs(a), (LAST << 15) - 1), SHIFT)
    return np.where(a < 0, -y, y)


def sigmoid(a):
    """sigmoid(x) = (1 + tanh(x / 2)) / 2 of a number with 15 fractional bits."""
    return shift_right(32768 + half_tanh(a), 1)


def tanh(a):
    """tanh of a number with 16 fractional bits."""
    return half_tanh(a)


def look_up(a, table: Table):
    """A function by table."""
    last = (len(table.values) - 1) << table.shift
    z = np.clip(a - table.first, 0, last - 1)
    return _interpolated(table.values, z, table.shift)


def _interpolated(values, z, shift):
    i, part = z >> shift, z & ((1 << shift) - 1)
    low = values[i]
    rise = (values[i + 1] - low) * part
    return low + (rise if shift == 0 else shift_right(rise, shift))


def square_root(a):
    """The greatest integer whose square is not above a."""
    a = np.maximum(a, 0)
    root = np.sqrt(a.astype("float64")).astype("int64")
    root -= root * root > a
    return root + ((root + 1) * (root + 1) <= a)


INTEGER: dict[str, Callable[..., Any]] = {
    "same": lambda a: a,
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "multiply_high": multiply_high,
    "divide": divide,
    "max": np.maximum,
    "min": np.minimum,
    "abs": np.abs,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "square_root": square_root,
    "less": lambda a, b: (a < b).astype("int64"),
    "less_equal": lambda a, b: (a <= b).astype("int64"),
    "equal": lambda a, b: (a == b).astype("int64"),
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "not": lambda a: 1 - a,
    "select": lambda c, a, b: np.where(c != 0, a, b),
}
