"""Integers with a fraction: constants, shifts and limits.

An integer stands for integer / 2 ** fraction.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from export.c.arithmetic.expressions import Expression, Vector

BITS = 30  # of the greatest magnitude of a result, so that a sum of two fits in 32 bits
CONSTANT_BITS = 15  # of a constant that is multiplied without a shift
SMALL_BITS = 16
# A value is limited where its bound exceeds what calibration saw by more than this.
LOOSE = 64.0
LIMIT = 8.0


def load(vector: Vector, index: np.ndarray) -> Expression:
    """The elements of a vector."""
    return Expression(
        "load",
        vector=vector,
        index=index,
        fraction=vector.fraction,
        low=vector.low,
        high=vector.high,
    )


def constant(values: np.ndarray, fraction: int) -> Expression:
    """Numbers with a fraction; those that 31 bits do not hold saturate."""
    limit = (1 << (BITS + 1)) - 1
    integers = np.clip(np.round(values * 2.0**fraction), -limit, limit).astype("int64")
    return Expression(
        "constant",
        values=integers,
        fraction=fraction,
        low=int(integers.min()),
        high=int(integers.max()),
    )


def free_constant(values: np.ndarray, bits: int = CONSTANT_BITS) -> Expression:
    """Return constants with as many fractional bits as `bits` bits hold."""
    return constant(values, fraction_of(np.abs(values).max(), bits))


def to_fraction(e: Expression, fraction: int) -> Expression:
    """The same number with another fraction; what 31 bits do not hold saturates."""
    shift = fraction - e.fraction
    if shift == 0:
        return e
    if shift < 0:
        return shift_right(e, -shift)
    room = BITS + 1 - e.bits
    if shift > room:
        e = limit_bits(e, BITS - shift)
    return shift_left(e, shift)


def shift_right(e: Expression, shift: int) -> Expression:
    """Return the number with fewer fractional bits, rounded."""
    if e.operation == "constant" and e.values is not None:
        return constant(e.values / 2.0**e.fraction, e.fraction - shift)
    if e.operation == "shift_right":
        return shift_right(e.arguments[0], shift + e.amount)
    constants = [a for a in e.arguments if a.operation == "constant"]
    if e.operation == "add" and constants:
        # One rounding of the other part, instead of one of each sum.
        other = next(a for a in e.arguments if a is not constants[0])
        shifted = shift_right(other, shift)
        values = constants[0].values
        assert values is not None
        return summed(shifted, constant(values / 2.0**e.fraction, shifted.fraction))
    if shift > BITS:
        return dataclasses.replace(constant(np.zeros(1), 0), fraction=e.fraction - shift)
    half = 1 << (shift - 1)
    if e.high + half >= 1 << 31:
        e = limit_bits(e, BITS)
    return Expression(
        "shift_right",
        (e,),
        fraction=e.fraction - shift,
        low=(e.low + half) >> shift,
        high=(e.high + half) >> shift,
        amount=shift,
    )


def shift_left(e: Expression, shift: int) -> Expression:
    """Return the number with more fractional bits."""
    if shift == 0:
        return e
    if e.operation == "constant" and e.values is not None:
        return constant(e.values / 2.0**e.fraction, e.fraction + shift)
    return Expression(
        "shift_left",
        (e,),
        fraction=e.fraction + shift,
        low=e.low << shift,
        high=e.high << shift,
        amount=shift,
    )


def limit_bits(e: Expression, bits: int) -> Expression:
    """The number, limited to `bits` bits and a sign."""
    bits = max(bits, 0)
    low, high = -(1 << bits), (1 << bits) - 1
    if e.low >= low and e.high <= high:
        return e
    return Expression(
        "saturate",
        (e,),
        fraction=e.fraction,
        low=max(e.low, low),
        high=min(e.high, high),
        amount=bits + 1,
    )


def within(e: Expression, low: float, high: float) -> Expression:
    """The number, limited if its bound is much greater than the calibrated range."""
    largest = max(abs(low), abs(high))
    bound = max(abs(e.low), abs(e.high)) / 2.0**e.fraction
    if not largest or bound <= LOOSE * largest:
        return e
    bits = math.ceil(math.log2(LIMIT * largest)) + e.fraction
    return limit_bits(e, bits) if bits >= SMALL_BITS else e


def fitting(e: Expression, bits: int) -> Expression:
    """The number with as many fractional bits as `bits` bits hold."""
    return shift_right(e, e.bits - bits) if e.bits > bits else e


def summed(a: Expression, b: Expression) -> Expression:
    """Return a + b for numbers with one fraction."""
    return Expression("add", (a, b), fraction=a.fraction, low=a.low + b.low, high=a.high + b.high)


def fraction_of(largest: float, bits: int) -> int:
    """Return the most fractional bits with which `bits` bits hold a magnitude."""
    if not largest or not np.isfinite(largest):
        return bits
    fraction = bits - math.ceil(math.log2(largest))
    # A power of two itself needs one more bit.
    return fraction if largest * 2.0**fraction < 2.0**bits else fraction - 1
