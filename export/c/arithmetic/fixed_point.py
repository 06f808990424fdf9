"""Fixed-point arithmetic: expressions on 32-bit integers that cannot overflow.

An integer stands for integer / 2 ** fraction. Each expression knows the least and the greatest
integer that it can take, so the fraction of each result is chosen such that 32 bits hold it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from export.c.arithmetic import integer_operations as operations
from export.c.arithmetic import integer_sums as sums
from export.c.arithmetic.expressions import Expression, Rows, Vector
from export.c.arithmetic.integer_division import divide
from export.c.arithmetic.integer_operations import Operand, expression_of
from export.c.arithmetic.integer_tables import TABULATED, tabulated
from export.c.arithmetic.rescaling import (
    BITS,
    constant,
    fitting,
    limit_bits,
    load,
    to_fraction,
    within,
)

_OPERATIONS: dict[str, Callable[..., Expression]] = {
    "add": operations.add,
    "sub": operations.subtract,
    "mul": operations.multiply,
    "max": operations.maximum,
    "min": operations.minimum,
    "abs": operations.absolute,
    "sqrt": operations.square_root,
    "less": operations.compare("less"),
    "less_equal": operations.compare("less_equal"),
    "equal": operations.compare("equal"),
    "and": operations.logical("and"),
    "or": operations.logical("or"),
    "not": operations.logical("not"),
    "select": operations.select,
}


class FixedPoint:
    """Builds integer expressions.

    Args:
        weight_bits: 8 or 16, the bits of matrices.
    """

    dtype = "int16"

    def __init__(self, weight_bits: int):
        self._weight_bits = weight_bits
        self._tables = 0

    def load(self, vector: Vector, index: np.ndarray) -> Expression:
        """The elements of a vector."""
        return load(vector, index)

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
            return operations.logistic(operation, expression_of(arguments[0]))
        if operation in TABULATED:
            self._tables += 1
            argument = expression_of(arguments[0])
            result = tabulated(operation, argument, argument_ranges[0], self._tables)
        elif operation == "div":
            result = divide(arguments[0], arguments[1], hint, range_, argument_ranges[1])
        elif operation in _OPERATIONS:
            result = _OPERATIONS[operation](*arguments, hint)
        else:
            raise ValueError(
                f"the operation {operation!r} has no integer form in C. Use recipe 'float32'."
            )
        return within(result, *range_)

    def dot(self, weights: np.ndarray, vector: Vector, first: int, hint: int | None) -> Expression:
        """weights (rows, columns) @ vector[first:], one row per neuron."""
        return sums.dot(weights, vector, first, hint, self._weight_bits)

    def sparse_dot(
        self, weights: np.ndarray, vector: Vector, rows: Rows, index: np.ndarray, hint: int | None
    ) -> Expression:
        """The sum of weights * vector[index] over each row, both (elements,)."""
        return sums.sparse_dot(weights, vector, rows, index, hint)

    def reduce(
        self, operation: str, e: Expression, rows: Rows, range_: tuple[float, float]
    ) -> Expression:
        """The sum or maximum of each row of elements."""
        return sums.reduce(operation, e, rows, range_)

    def stored(self, e: Operand, vector: Vector) -> Expression:
        """A number as a vector stores it."""
        if not isinstance(e, Expression):
            e = constant(e, vector.fraction)
        e = to_fraction(e, vector.fraction)
        if e.low < vector.low or e.high > vector.high:
            bits = 15 if vector.dtype == "int16" else BITS
            return limit_bits(e, bits)
        return e

    def local_vector(self, name: str, size: int, e: Operand) -> tuple[Vector, Expression]:
        """A vector of 32-bit integers that holds an expression as it is."""
        expression = fitting(expression_of(e), BITS)
        vector = Vector(name, size, "int32", expression.fraction, expression.low, expression.high)
        return vector, expression
