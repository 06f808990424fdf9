"""Fixed-point arithmetic: expressions on 32-bit integers that cannot overflow.

An integer stands for integer / 2 ** fraction. Each expression knows the least and the greatest
integer that it can take, so the fraction of each result is chosen such that 32 bits hold it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from export.c.arithmetic.expressions import Expression, Rows, Table, Vector
from export.c.graph.nodes import FUNCTIONS

# An expression, or the numbers of a constant.
Operand: TypeAlias = "Expression | np.ndarray"

BITS = 30  # of the greatest magnitude of a result, so that a sum of two fits in 32 bits
SIGMOID_FRACTION = 15
CONSTANT_BITS = 15  # of a constant that is multiplied without a shift
LEAST_CONSTANT_BITS = 11
SMALL_BITS = 16
DIVISOR_BITS = 12
MAX_TABLE = 1024
TABLE_FRACTION_BITS = 20
# A value is limited where its bound exceeds what calibration saw by more than this.
LOOSE = 64.0
LIMIT = 8.0
EXP_SPAN = 11.1  # 2^-16 = exp(-11.1)
_TABULATED = ("exp", "log", "softplus", "erf", "sin", "cos")


class FixedPoint:
    """Builds integer expressions.

    Args:
        weight_bits: 8 or 16, the bits of matrices.

    Attributes:
        tables: The tables that expressions use.
    """

    dtype = "int16"

    def __init__(self, weight_bits: int):
        self.weight_bits = weight_bits
        self.tables: list[Table] = []

    # Leaves

    def load(self, vector: Vector, index: np.ndarray) -> Expression:
        """The elements of a vector."""
        return Expression(
            "load",
            vector=vector,
            index=index,
            fraction=vector.fraction,
            low=vector.low,
            high=vector.high,
        )

    def constant(self, values: np.ndarray, fraction: int) -> Expression:
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

    def _free_constant(self, values: np.ndarray, bits: int = CONSTANT_BITS) -> Expression:
        return self.constant(values, fraction_of(np.abs(values).max(), bits))

    def _expression(self, operand: Operand) -> Expression:
        if isinstance(operand, Expression):
            return operand
        return self._free_constant(operand, BITS - 2)

    # Fractions

    def to_fraction(self, e: Expression, fraction: int) -> Expression:
        """The same number with another fraction; what 31 bits do not hold saturates."""
        shift = fraction - e.fraction
        if shift == 0:
            return e
        if shift < 0:
            return self._shift_right(e, -shift)
        room = BITS + 1 - e.bits
        if shift > room:
            e = self.limit_bits(e, BITS + 1 - shift)
        return self._shift_left(e, shift)

    def _shift_right(self, e: Expression, shift: int) -> Expression:
        if e.operation == "constant" and e.values is not None:
            return self.constant(e.values / 2.0**e.fraction, e.fraction - shift)
        if e.operation == "shift_right":
            return self._shift_right(e.arguments[0], shift + e.amount)
        constants = [a for a in e.arguments if a.operation == "constant"]
        if e.operation == "add" and constants:
            # One rounding of the other part, instead of one of each sum.
            other = next(a for a in e.arguments if a is not constants[0])
            shifted = self._shift_right(other, shift)
            values = constants[0].values
            assert values is not None
            return self._sum(shifted, self.constant(values / 2.0**e.fraction, shifted.fraction))
        if shift > BITS:
            return dataclasses.replace(self.constant(np.zeros(1), 0), fraction=e.fraction - shift)
        half = 1 << (shift - 1)
        if e.high + half >= 1 << 31:
            e = self.limit_bits(e, BITS)
        return Expression(
            "shift_right",
            (e,),
            fraction=e.fraction - shift,
            low=(e.low + half) >> shift,
            high=(e.high + half) >> shift,
            amount=shift,
        )

    def _shift_left(self, e: Expression, shift: int) -> Expression:
        if shift == 0:
            return e
        if e.operation == "constant" and e.values is not None:
            return self.constant(e.values / 2.0**e.fraction, e.fraction + shift)
        return Expression(
            "shift_left",
            (e,),
            fraction=e.fraction + shift,
            low=e.low << shift,
            high=e.high << shift,
            amount=shift,
        )

    def limit_bits(self, e: Expression, bits: int) -> Expression:
        """The number, limited to `bits` bits and a sign."""
        bits = max(bits, 1)
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

    def within(self, e: Expression, low: float, high: float) -> Expression:
        """The number, limited if its bound is much greater than the calibrated range."""
        largest = max(abs(low), abs(high))
        bound = max(abs(e.low), abs(e.high)) / 2.0**e.fraction
        if not largest or bound <= LOOSE * largest:
            return e
        bits = math.ceil(math.log2(LIMIT * largest)) + e.fraction
        return self.limit_bits(e, bits) if bits >= SMALL_BITS else e

    def _fitting(self, e: Expression, bits: int) -> Expression:
        """The number with as many fractional bits as `bits` bits hold."""
        return self._shift_right(e, e.bits - bits) if e.bits > bits else e

    # Operations

    def elementwise(
        self,
        operation: str,
        arguments: list[Operand],
        hint: int | None,
        range_: tuple[float, float],
        argument_ranges: list[tuple[float, float]],
    ) -> Expression:
        """An elementwise operation.

        Args:
            operation: A key of `nodes.FUNCTIONS`.
            arguments: Its arguments.
            hint: The fraction that readers of the result use, or None.
            range_: Least and greatest result on the calibration data.
            argument_ranges: The same of each argument.
        """
        if operation in ("sigmoid", "tanh"):
            return self._logistic(operation, self._expression(arguments[0]))
        if operation in _TABULATED:
            result = self._tabulated(operation, self._expression(arguments[0]), argument_ranges[0])
        elif operation == "div":
            result = self._divide(*arguments, hint, range_, argument_ranges[1])
        else:
            methods: dict[str, Callable[..., Expression]] = {
                "add": self._add,
                "sub": self._subtract,
                "mul": self._multiply,
                "max": self._maximum,
                "min": self._minimum,
                "abs": self._absolute,
                "sqrt": self._square_root,
                "less": self._compare("less"),
                "less_equal": self._compare("less_equal"),
                "equal": self._compare("equal"),
                "and": self._logical("and"),
                "or": self._logical("or"),
                "not": self._logical("not"),
                "select": self._select,
            }
            if operation not in methods:
                raise ValueError(
                    f"The operation {operation!r} has no integer form in C; use recipe 'float32'."
                )
            result = methods[operation](*arguments, hint)
        return self.within(result, *range_)

    def _aligned(
        self, a: Operand, b: Operand, hint: int | None, room: int = 1
    ) -> tuple[Expression, Expression]:
        """Both numbers with one fraction, such that a sum of them fits in 32 bits."""
        limit = BITS + 1 - room
        if not isinstance(a, Expression):
            b, a = self._aligned(b, a, hint, room)
            return a, b
        if not isinstance(b, Expression):
            fraction = a.fraction if hint is None else min(a.fraction, max(hint, 0))
            fraction = min(fraction, fraction_of(np.abs(b).max(), limit))
            a = self._fitting(self.to_fraction(a, fraction), limit)
            return a, self.constant(b, a.fraction)
        fraction = max(a.fraction, b.fraction)
        if hint is not None:
            fraction = min(fraction, max(hint, min(a.fraction, b.fraction)))
        for e in (a, b):
            fraction = min(fraction, e.fraction + limit - e.bits)
        return self.to_fraction(a, fraction), self.to_fraction(b, fraction)

    def _add(self, a: Operand, b: Operand, hint: int | None) -> Expression:
        return self._sum(*self._aligned(a, b, hint))

    @staticmethod
    def _sum(a: Expression, b: Expression) -> Expression:
        return Expression(
            "add", (a, b), fraction=a.fraction, low=a.low + b.low, high=a.high + b.high
        )

    def _subtract(self, a: Operand, b: Operand, hint: int | None) -> Expression:
        a, b = self._aligned(a, b, hint)
        return Expression(
            "subtract", (a, b), fraction=a.fraction, low=a.low - b.high, high=a.high - b.low
        )

    def _maximum(self, a: Operand, b: Operand, hint: int | None) -> Expression:
        a, b = self._aligned(a, b, hint)
        return Expression(
            "max", (a, b), fraction=a.fraction, low=max(a.low, b.low), high=max(a.high, b.high)
        )

    def _minimum(self, a: Operand, b: Operand, hint: int | None) -> Expression:
        a, b = self._aligned(a, b, hint)
        return Expression(
            "min", (a, b), fraction=a.fraction, low=min(a.low, b.low), high=min(a.high, b.high)
        )

    def _absolute(self, a: Operand, hint: int | None) -> Expression:
        e = self._expression(a)
        largest = max(abs(e.low), abs(e.high))
        return Expression("abs", (e,), fraction=e.fraction, low=0, high=largest)

    def _compare(self, name: str) -> Callable[..., Expression]:
        def build(a, b, hint):
            a, b = self._aligned(a, b, None, room=0)
            return Expression(name, (a, b), low=0, high=1)

        return build

    def _logical(self, name: str) -> Callable[..., Expression]:
        def build(*operands):
            arguments = [
                e if isinstance(e, Expression) else self.constant(e, 0) for e in operands[:-1]
            ]
            return Expression(name, tuple(arguments), low=0, high=1)

        return build

    def _select(self, condition: Operand, a: Operand, b: Operand, hint: int | None) -> Expression:
        if not isinstance(condition, Expression):
            condition = self.constant(condition, 0)
        if not isinstance(a, Expression) and not isinstance(b, Expression):
            largest = max(np.abs(a).max(), np.abs(b).max())
            a = self.constant(a, fraction_of(largest, CONSTANT_BITS))
        a, b = self._aligned(a, b, hint, room=0)
        return Expression(
            "select",
            (condition, a, b),
            fraction=a.fraction,
            low=min(a.low, b.low),
            high=max(a.high, b.high),
        )

    def _multiply(self, a: Operand, b: Operand, hint: int | None) -> Expression:
        if not isinstance(a, Expression):
            a, b = b, a
        assert isinstance(a, Expression)
        if not isinstance(b, Expression):
            return self._scale(a, b, hint)
        if a.bits + b.bits <= BITS:
            return self._product(a, b)
        shifts = [BITS + 1 - e.bits for e in (a, b)]
        fraction = a.fraction + b.fraction + sum(shifts) - 32
        if hint is not None and fraction > hint:
            # Fewer bits than 32 hold spare a shift.
            for position in (0, 1):
                spare = min(fraction - hint, shifts[position])
                shifts[position] -= spare
                fraction -= spare
        return self._multiply_high(self._shift_left(a, shifts[0]), self._shift_left(b, shifts[1]))

    def _product(self, a: Expression, b: Expression) -> Expression:
        ends = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
        fraction = a.fraction + b.fraction
        return Expression("multiply", (a, b), fraction=fraction, low=min(ends), high=max(ends))

    def _multiply_high(self, a: Expression, b: Expression) -> Expression:
        ends = [(x * y + (1 << 31)) >> 32 for x in (a.low, a.high) for y in (b.low, b.high)]
        fraction = a.fraction + b.fraction - 32
        return Expression("multiply_high", (a, b), fraction=fraction, low=min(ends), high=max(ends))

    def _scale(self, a: Expression, factors: np.ndarray, hint: int | None) -> Expression:
        """A product with constants."""
        largest = np.abs(factors).max()
        exponent = math.log2(largest)
        if np.all(factors == largest) and exponent == int(exponent):
            # A power of two moves the point.
            return dataclasses.replace(
                Expression("same", (a,), a.fraction - int(exponent), a.low, a.high)
            )
        if hint is not None:
            fraction = hint - a.fraction
            magnitude = largest * 2.0**fraction
            bits = a.bits + math.ceil(math.log2(magnitude + 1))
            if magnitude >= 1 << LEAST_CONSTANT_BITS and bits <= BITS:
                return self._product(a, self.constant(factors, fraction))
            return self._scale_high(a, factors, hint)
        room = BITS - 1 - a.bits
        if room >= LEAST_CONSTANT_BITS:
            return self._product(a, self._free_constant(factors, min(CONSTANT_BITS, room)))
        return self._scale_high(a, factors, None)

    def _scale_high(self, a: Expression, factors: np.ndarray, hint: int | None) -> Expression:
        largest = np.abs(factors).max()
        shift = BITS + 1 - a.bits
        most = fraction_of(largest, BITS)
        fraction = a.fraction + shift + most - 32
        if hint is not None and fraction > hint:
            most -= fraction - hint
        shifted = self._shift_left(a, shift)
        return self._multiply_high(shifted, self.constant(factors, most))

    def _divide(self, a: Operand, b: Operand, hint, range_, divisor_range) -> Expression:
        divisor = self._nonzero(self._expression(b), divisor_range)
        wanted = hint
        if wanted is None:
            largest = max(abs(range_[0]), abs(range_[1]), 2.0**-15)
            wanted = fraction_of(largest, SMALL_BITS + 2)
        dividend = self._fitting(self._expression(a), BITS)
        # dividend.fraction - divisor.fraction is the fraction of the quotient.
        fraction = dividend.fraction + BITS - dividend.bits
        divisor_fraction = min(fraction - wanted, divisor.fraction + BITS - divisor.bits)
        fraction = divisor_fraction + wanted
        least = min(abs(divisor.low), abs(divisor.high)) / 2.0**divisor.fraction
        if least * 2.0**divisor_fraction < 1:
            divisor_fraction = max(divisor_fraction, math.ceil(-math.log2(least)))
            fraction = min(fraction, dividend.fraction + BITS - dividend.bits)
            wanted = fraction - divisor_fraction
        dividend = self.to_fraction(dividend, fraction)
        divisor = self.to_fraction(divisor, divisor_fraction)
        divisor = self._away_from_zero(divisor)
        ends = [
            _rounded_quotient(x, y)
            for x in (dividend.low, dividend.high)
            for y in (divisor.low, divisor.high)
        ]
        return Expression(
            "divide", (dividend, divisor), fraction=wanted, low=min(ends), high=max(ends)
        )

    def _nonzero(self, e: Expression, range_: tuple[float, float]) -> Expression:
        """A divisor, limited to one sign and to a part of the least calibrated magnitude."""
        low, high = range_
        if low <= 0 <= high:
            raise ValueError(
                f"A divisor lies between {low:.4g} and {high:.4g} on the calibration data, and "
                "may be 0. Use recipe 'float32'."
            )
        if e.low <= 0 <= e.high:
            # One fourth of the least magnitude, as integers.
            least = max(1, int(min(abs(low), abs(high)) / 4 * 2.0**e.fraction))
            bound = self.constant(
                np.asarray([math.copysign(least, low) / 2.0**e.fraction]), e.fraction
            )
            return self._maximum(e, bound, None) if low > 0 else self._minimum(e, bound, None)
        return e

    def _away_from_zero(self, e: Expression) -> Expression:
        if e.low <= 0 <= e.high:
            one = Expression(
                "constant", values=np.ones(1, "int64"), fraction=e.fraction, low=1, high=1
            )
            if e.high > 0:
                return Expression("max", (e, one), fraction=e.fraction, low=1, high=e.high)
            minus = dataclasses.replace(one, values=-np.ones(1, "int64"), low=-1, high=-1)
            return Expression("min", (e, minus), fraction=e.fraction, low=e.low, high=-1)
        return e

    def _logistic(self, operation: str, e: Expression) -> Expression:
        # tanh(x) = 2 sigmoid(2 x) - 1: its argument has one fractional bit more.
        fraction = SIGMOID_FRACTION + (operation == "tanh")
        e = self.to_fraction(e, fraction)
        low = 0 if operation == "sigmoid" else -(1 << SIGMOID_FRACTION)
        return Expression(
            operation, (e,), fraction=SIGMOID_FRACTION, low=low, high=1 << SIGMOID_FRACTION
        )

    def _square_root(self, a: Operand, hint: int | None) -> Expression:
        e = self._expression(a)
        shift = BITS - e.bits
        shift -= (e.fraction + shift) % 2
        e = self.to_fraction(e, e.fraction + shift)
        root = math.isqrt(max(e.high, 0))
        return Expression("square_root", (e,), fraction=e.fraction // 2, low=0, high=root)

    def _tabulated(self, operation: str, e: Expression, range_: tuple[float, float]) -> Expression:
        function = FUNCTIONS[operation]
        low, high = _table_range(operation, range_, e)
        fraction = fraction_of(max(abs(low), abs(high), high - low), TABLE_FRACTION_BITS)
        e = self.to_fraction(e, min(fraction, e.fraction + BITS - e.bits))
        first, last = math.floor(low * 2.0**e.fraction), math.ceil(high * 2.0**e.fraction)
        shift = max(0, math.ceil(math.log2(max(1, last - first) / (MAX_TABLE / 2))))
        shift = min(shift, 14)
        count = ((last - first) >> shift) + 2
        points = (first + (np.arange(count) << shift)) / 2.0**e.fraction
        results = function(np.maximum(points, 2.0**-30) if operation == "log" else points)
        out = fraction_of(np.abs(results).max(), 15)
        values = np.clip(np.round(results * 2.0**out), -32768, 32767).astype("int64")
        table = Table(f"{operation}_{len(self.tables)}", values, first, shift)
        self.tables.append(table)
        return Expression(
            "table", (e,), fraction=out, low=int(values.min()), high=int(values.max()), table=table
        )

    # Sums

    def dot(self, weights: np.ndarray, vector: Vector, first: int, hint: int | None) -> Expression:
        """weights (rows, columns) @ vector[first:], one row per neuron."""
        largest = max(abs(vector.low), abs(vector.high))
        integers, scales = quantized_rows(weights, self.weight_bits, largest)
        bound = int(np.abs(integers).sum(axis=1).max()) * largest
        total = Expression(
            "dot",
            values=integers,
            vector=vector,
            index=np.asarray(first),
            low=-bound,
            high=bound,
        )
        return self._requantized(total, integers, scales, vector, hint)

    def sparse_dot(
        self, weights: np.ndarray, vector: Vector, rows: Rows, index: np.ndarray, hint: int | None
    ) -> Expression:
        """The sum of weights * vector[index] over each row, both (elements,)."""
        largest = max(abs(vector.low), abs(vector.high), 1)
        dense = [weights[a:b] for a, b in zip(rows.offsets, rows.offsets[1:], strict=False)]
        parts = [quantized_rows(row[np.newaxis], self.weight_bits, largest) for row in dense]
        integers = np.concatenate([part[0][0] for part in parts])
        scales = np.concatenate([part[1] for part in parts])
        sums = [int(np.abs(part[0]).sum()) for part in parts]
        factor = Expression(
            "constant",
            values=integers,
            low=int(integers.min()),
            high=int(integers.max()),
        )
        term = self._product(factor, self.load(vector, index))
        bound = max(sums) * largest
        total = Expression("reduce", (term,), rows=rows, low=-bound, high=bound, label="add")
        padded = np.zeros((len(parts), max(len(row) for row in dense)))
        for row, part in zip(padded, parts, strict=True):
            row[: part[0].shape[1]] = part[0][0]
        return self._requantized(total, padded, scales, vector, hint)

    def _requantized(self, total, integers, scales, vector, hint) -> Expression:
        """A sum of products of stored integers as a number with a fraction."""
        largest = max(abs(vector.low), abs(vector.high), 1)
        real = scales / 2.0**vector.fraction
        bound = (np.abs(integers).sum(axis=1) * largest * real).max()
        fraction = fraction_of(bound, BITS - 1)
        if hint is not None:
            fraction = min(fraction, hint)
        shift = BITS + 1 - max(total.bits, 1)
        factors = real * 2.0**fraction * 2.0 ** (32 - shift)
        while factors.max() > 2.0**31 - 1 and fraction > -31:
            fraction -= 1
            factors /= 2
        multiplier = Expression(
            "constant",
            values=np.round(factors).astype("int64"),
            low=int(np.round(factors.min())),
            high=int(np.round(factors.max())),
        )
        scaled = self._multiply_high(self._shift_left(total, shift), multiplier)
        limit = math.ceil(bound * 2.0**fraction) + 1
        return dataclasses.replace(
            scaled,
            fraction=fraction,
            low=max(scaled.low, -limit),
            high=min(scaled.high, limit),
        )

    def reduce(self, operation: str, e: Expression, rows: Rows, range_) -> Expression:
        """The sum or maximum of each row of elements."""
        count = int(np.diff(rows.offsets).max())
        if operation == "add":
            e = self._fitting(e, BITS - count.bit_length())
            low, high = e.low * count, e.high * count
            low, high = min(low, e.low), max(high, e.high)
        else:
            low, high = e.low, e.high
        result = Expression(
            "reduce", (e,), rows=rows, fraction=e.fraction, low=low, high=high, label=operation
        )
        return self.within(result, *range_)

    # Stores

    def stored(self, e: Operand, vector: Vector) -> Expression:
        """A number as a vector stores it."""
        if not isinstance(e, Expression):
            e = self.constant(e, vector.fraction)
        e = self.to_fraction(e, vector.fraction)
        if e.low < vector.low or e.high > vector.high:
            bits = 15 if vector.dtype == "int16" else BITS
            return self.limit_bits(e, bits)
        return e

    def local_vector(self, name: str, size: int, e: Operand) -> tuple[Vector, Expression]:
        """A vector of 32-bit integers that holds an expression as it is."""
        expression = self._fitting(self._expression(e), BITS)
        vector = Vector(name, size, "int32", expression.fraction, expression.low, expression.high)
        return vector, expression


def fraction_of(largest: float, bits: int) -> int:
    """Return the most fractional bits with which `bits` bits hold a magnitude."""
    if not largest or not np.isfinite(largest):
        return bits
    fraction = bits - math.ceil(math.log2(largest))
    # A power of two itself needs one more bit.
    return fraction if largest * 2.0**fraction < 2.0**bits else fraction - 1


def quantized_rows(weights: np.ndarray, bits: int, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return integers (rows, columns) and scales (rows,): weights = integers * scale.

    Args:
        weights: The matrix.
        bits: 8 or 16.
        largest: Greatest magnitude of the integers that a row is multiplied with.
    """
    limit = (1 << (bits - 1)) - 1
    most = np.abs(weights).max(axis=1)
    # The sum of a row must stay in 31 bits for all integers that it can meet.
    sums = np.abs(weights).sum(axis=1)
    room = (2.0**31 - 1) / max(largest, 1) - weights.shape[1]
    scales = np.maximum(most / limit, sums / room)
    scales = np.where(scales > 0, scales, 1.0)
    return np.round(weights / scales[:, np.newaxis]).astype("int64"), scales


def _rounded_quotient(a: int, b: int) -> int:
    half = abs(b) >> 1
    numerator = a - half if a < 0 else a + half
    quotient = abs(numerator) // abs(b)
    return quotient if (numerator < 0) == (b < 0) else -quotient


def _table_range(operation, range_, e: Expression) -> tuple[float, float]:
    """The calibrated range, wider by a fourth, within what the expression can take."""
    low, high = range_
    margin = 0.25 * (high - low) + 1e-6
    bounds = (e.low / 2.0**e.fraction, e.high / 2.0**e.fraction)
    low, high = max(low - margin, bounds[0]), min(high + margin, bounds[1])
    if operation == "exp":
        # Smaller results are 0 next to the greatest one.
        low = max(low, high - EXP_SPAN)
    if operation == "log":
        low = max(low, min(range_[0] / 2, high / 2), 2.0**-20)
    return low, max(high, low + 1e-6)
