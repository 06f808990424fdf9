"""Sums, products and comparisons of integers with fractions.

`hint` is the fraction that readers of a result use, or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from export.c.arithmetic.expressions import Expression
from export.c.arithmetic.rescaling import (
    BITS,
    CONSTANT_BITS,
    constant,
    fitting,
    fraction_of,
    free_constant,
    shift_left,
    summed,
    to_fraction,
)

# An expression, or the numbers of a constant.
Operand: TypeAlias = "Expression | np.ndarray"

SIGMOID_FRACTION = 15
LEAST_CONSTANT_BITS = 11


def expression_of(operand: Operand) -> Expression:
    """Return an operand as an expression."""
    if isinstance(operand, Expression):
        return operand
    return free_constant(operand, BITS - 2)


def aligned(
    a: Operand, b: Operand, hint: int | None, room: int = 1
) -> tuple[Expression, Expression]:
    """Both numbers with one fraction, such that a sum of them fits in 32 bits."""
    limit = BITS + 1 - room
    if not isinstance(a, Expression):
        b, a = aligned(b, a, hint, room)
        return a, b
    if not isinstance(b, Expression):
        fraction = a.fraction if hint is None else min(a.fraction, max(hint, 0))
        fraction = min(fraction, fraction_of(np.abs(b).max(), limit))
        a = fitting(to_fraction(a, fraction), limit)
        return a, constant(b, a.fraction)
    fraction = max(a.fraction, b.fraction)
    if hint is not None:
        fraction = min(fraction, max(hint, min(a.fraction, b.fraction)))
    for e in (a, b):
        fraction = min(fraction, e.fraction + limit - e.bits)
    return to_fraction(a, fraction), to_fraction(b, fraction)


def add(a: Operand, b: Operand, hint: int | None) -> Expression:
    """Return a + b."""
    return summed(*aligned(a, b, hint))


def subtract(a: Operand, b: Operand, hint: int | None) -> Expression:
    """Return a - b."""
    a, b = aligned(a, b, hint)
    return Expression(
        "subtract", (a, b), fraction=a.fraction, low=a.low - b.high, high=a.high - b.low
    )


def maximum(a: Operand, b: Operand, hint: int | None) -> Expression:
    """Return the greater of a and b."""
    a, b = aligned(a, b, hint)
    return Expression(
        "max", (a, b), fraction=a.fraction, low=max(a.low, b.low), high=max(a.high, b.high)
    )


def minimum(a: Operand, b: Operand, hint: int | None) -> Expression:
    """Return the lesser of a and b."""
    a, b = aligned(a, b, hint)
    return Expression(
        "min", (a, b), fraction=a.fraction, low=min(a.low, b.low), high=min(a.high, b.high)
    )


def absolute(a: Operand, hint: int | None) -> Expression:
    """Return the magnitude of a."""
    e = expression_of(a)
    largest = max(abs(e.low), abs(e.high))
    return Expression("abs", (e,), fraction=e.fraction, low=0, high=largest)


def compare(name: str) -> Callable[..., Expression]:
    """Return a function that compares two numbers; its result is 0 or 1."""

    def build(a, b, hint):
        a, b = aligned(a, b, None, room=0)
        return Expression(name, (a, b), low=0, high=1)

    return build


def logical(name: str) -> Callable[..., Expression]:
    """Return a function of conditions, which are 0 or 1."""

    def build(*operands):
        arguments = [e if isinstance(e, Expression) else constant(e, 0) for e in operands[:-1]]
        return Expression(name, tuple(arguments), low=0, high=1)

    return build


def select(condition: Operand, a: Operand, b: Operand, hint: int | None) -> Expression:
    """Return a where the condition is 1, else b."""
    if not isinstance(condition, Expression):
        condition = constant(condition, 0)
    if not isinstance(a, Expression) and not isinstance(b, Expression):
        largest = max(np.abs(a).max(), np.abs(b).max())
        a = constant(a, fraction_of(largest, CONSTANT_BITS))
    a, b = aligned(a, b, hint, room=0)
    return Expression(
        "select",
        (condition, a, b),
        fraction=a.fraction,
        low=min(a.low, b.low),
        high=max(a.high, b.high),
    )


def multiply(a: Operand, b: Operand, hint: int | None) -> Expression:
    """Return a b."""
    if not isinstance(a, Expression):
        a, b = b, a
    assert isinstance(a, Expression)
    if not isinstance(b, Expression):
        return scale(a, b, hint)
    if a.bits + b.bits <= BITS:
        return product(a, b)
    shifts = [BITS + 1 - e.bits for e in (a, b)]
    fraction = a.fraction + b.fraction + sum(shifts) - 32
    if hint is not None and fraction > hint:
        # Fewer bits than 32 hold spare a shift.
        for position in (0, 1):
            spare = min(fraction - hint, shifts[position])
            shifts[position] -= spare
            fraction -= spare
    return multiply_high(shift_left(a, shifts[0]), shift_left(b, shifts[1]))


def product(a: Expression, b: Expression) -> Expression:
    """Return a b for numbers whose product fits in 31 bits."""
    ends = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    fraction = a.fraction + b.fraction
    return Expression("multiply", (a, b), fraction=fraction, low=min(ends), high=max(ends))


def multiply_high(a: Expression, b: Expression) -> Expression:
    """Return a b / 2^32, rounded."""
    ends = [(x * y + (1 << 31)) >> 32 for x in (a.low, a.high) for y in (b.low, b.high)]
    fraction = a.fraction + b.fraction - 32
    return Expression("multiply_high", (a, b), fraction=fraction, low=min(ends), high=max(ends))


def scale(a: Expression, factors: np.ndarray, hint: int | None) -> Expression:
    """A product with constants."""
    largest = np.abs(factors).max()
    exponent = math.log2(largest)
    if np.all(factors == largest) and exponent == int(exponent):
        # A power of two moves the point.
        return Expression("same", (a,), a.fraction - int(exponent), a.low, a.high)
    if hint is not None:
        fraction = hint - a.fraction
        magnitude = largest * 2.0**fraction
        bits = a.bits + math.ceil(math.log2(magnitude + 1))
        if magnitude >= 1 << LEAST_CONSTANT_BITS and bits <= BITS:
            return product(a, constant(factors, fraction))
        return scale_high(a, factors, hint)
    room = BITS - 1 - a.bits
    if room >= LEAST_CONSTANT_BITS:
        return product(a, free_constant(factors, min(CONSTANT_BITS, room)))
    return scale_high(a, factors, None)


def scale_high(a: Expression, factors: np.ndarray, hint: int | None) -> Expression:
    """Return a product with constants by the upper half of 64 bits."""
    largest = np.abs(factors).max()
    shift = BITS + 1 - a.bits
    most = fraction_of(largest, BITS)
    fraction = a.fraction + shift + most - 32
    if hint is not None and fraction > hint:
        most -= fraction - hint
    shifted = shift_left(a, shift)
    return multiply_high(shifted, constant(factors, most))


def square_root(a: Operand, hint: int | None) -> Expression:
    """Return the square root of a number that is not negative."""
    e = expression_of(a)
    shift = BITS - e.bits
    shift -= (e.fraction + shift) % 2
    e = to_fraction(e, e.fraction + shift)
    root = math.isqrt(max(e.high, 0))
    return Expression("square_root", (e,), fraction=e.fraction // 2, low=0, high=root)


def logistic(operation: str, e: Expression) -> Expression:
    """Return sigmoid or tanh of a number."""
    # The table holds tanh(x / 2), so the argument of tanh has one fractional bit more.
    fraction = SIGMOID_FRACTION + (operation == "tanh")
    e = to_fraction(e, fraction)
    high = (1 << SIGMOID_FRACTION) - 1
    low = 0 if operation == "sigmoid" else -high
    return Expression(operation, (e,), fraction=SIGMOID_FRACTION, low=low, high=high + 1)
