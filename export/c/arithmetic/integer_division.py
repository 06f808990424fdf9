"""Division of integers with fractions."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from export.c.arithmetic.expressions import Expression
from export.c.arithmetic.integer_operations import Operand, expression_of, maximum, minimum
from export.c.arithmetic.rescaling import (
    BITS,
    SMALL_BITS,
    constant,
    fitting,
    fraction_of,
    to_fraction,
)


def divide(a: Operand, b: Operand, hint, range_, divisor_range) -> Expression:
    """Return the quotient a / b, rounded."""
    divisor = nonzero(expression_of(b), divisor_range)
    wanted = hint
    if wanted is None:
        largest = max(abs(range_[0]), abs(range_[1]), 2.0**-15)
        wanted = fraction_of(largest, SMALL_BITS + 2)
    dividend = fitting(expression_of(a), BITS)
    # dividend.fraction - divisor.fraction is the fraction of the quotient.
    fraction = dividend.fraction + BITS - dividend.bits
    divisor_fraction = min(fraction - wanted, divisor.fraction + BITS - divisor.bits)
    fraction = divisor_fraction + wanted
    least = min(abs(divisor.low), abs(divisor.high)) / 2.0**divisor.fraction
    if least * 2.0**divisor_fraction < 1:
        divisor_fraction = max(divisor_fraction, math.ceil(-math.log2(least)))
        fraction = min(fraction, dividend.fraction + BITS - dividend.bits)
        wanted = fraction - divisor_fraction
    dividend = to_fraction(dividend, fraction)
    divisor = to_fraction(divisor, divisor_fraction)
    divisor = away_from_zero(divisor)
    ends = [
        _rounded_quotient(x, y)
        for x in (dividend.low, dividend.high)
        for y in (divisor.low, divisor.high)
    ]
    return Expression("divide", (dividend, divisor), fraction=wanted, low=min(ends), high=max(ends))


def nonzero(e: Expression, range_: tuple[float, float]) -> Expression:
    """A divisor, limited to one sign and to a part of the least calibrated magnitude."""
    low, high = range_
    if low <= 0 <= high:
        raise ValueError(
            f"a divisor lies between {low:.4g} and {high:.4g} on the calibration data, and "
            "may be 0. Use recipe 'float32'."
        )
    if e.low <= 0 <= e.high:
        # One fourth of the least magnitude, as integers.
        least = max(1, int(min(abs(low), abs(high)) / 4 * 2.0**e.fraction))
        bound = constant(np.asarray([math.copysign(least, low) / 2.0**e.fraction]), e.fraction)
        return maximum(e, bound, None) if low > 0 else minimum(e, bound, None)
    return e


def away_from_zero(e: Expression) -> Expression:
    """Return a divisor whose bounds have one sign."""
    if e.low <= 0 <= e.high:
        one = Expression("constant", values=np.ones(1, "int64"), fraction=e.fraction, low=1, high=1)
        if e.high > 0:
            return Expression("max", (e, one), fraction=e.fraction, low=1, high=e.high)
        minus = dataclasses.replace(one, values=-np.ones(1, "int64"), low=-1, high=-1)
        return Expression("min", (e, minus), fraction=e.fraction, low=e.low, high=-1)
    return e


def _rounded_quotient(a: int, b: int) -> int:
    half = abs(b) >> 1
    numerator = a - half if a < 0 else a + half
    quotient = abs(numerator) // abs(b)
    return quotient if (numerator < 0) == (b < 0) else -quotient
