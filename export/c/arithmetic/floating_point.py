"""Floating-point arithmetic: expressions on 32-bit floats, without a mathematics library."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from export.c.arithmetic.expressions import Expression, Rows, Table, Vector
from export.c.graph.nodes import TRUTHS

Operand: TypeAlias = "Expression | np.ndarray"

_NAMES = {"sub": "subtract", "mul": "multiply", "div": "divide", "sqrt": "square_root"}


class FloatingPoint:
    """Builds expressions on floats, with the interface of `FixedPoint`."""

    dtype = "float32"

    def __init__(self):
        self.tables: list[Table] = []

    def load(self, vector: Vector, index: np.ndarray) -> Expression:
        """The elements of a vector."""
        return Expression("load", vector=vector, index=index)

    def constant(self, values: np.ndarray) -> Expression:
        """Constant numbers."""
        return Expression("constant", values=np.asarray(values, "float32"))

    def _expression(self, operand: Operand) -> Expression:
        return operand if isinstance(operand, Expression) else self.constant(operand)

    def elementwise(
        self, operation: str, arguments: list[Operand], hint, range_, argument_ranges
    ) -> Expression:
        """An elementwise operation; conditions are integers, 0 or 1."""
        expressions = tuple(map(self._expression, arguments))
        if operation == "softplus":
            return self._softplus(expressions[0])
        if operation == "cos":
            quarter = self.constant(np.full(1, np.pi / 2))
            return Expression("sin", (Expression("add", (expressions[0], quarter)),))
        if operation == "round":
            half = self.constant(np.full(1, 0.5))
            return Expression("floor", (Expression("add", (expressions[0], half)),))
        label = "truth" if operation in TRUTHS else ""
        return Expression(_NAMES.get(operation, operation), expressions, label=label)

    def _softplus(self, x: Expression) -> Expression:
        """max(x, 0) + log(1 + exp(-|x|))"""
        zero, one = self.constant(np.zeros(1)), self.constant(np.ones(1))
        magnitude = Expression("subtract", (zero, Expression("abs", (x,))))
        term = Expression("add", (Expression("exp", (magnitude,)), one))
        return Expression("add", (Expression("max", (x, zero)), Expression("log", (term,))))

    def dot(self, weights: np.ndarray, vector: Vector, first: int, hint) -> Expression:
        """weights (rows, columns) @ vector[first:], one row per neuron."""
        values = np.asarray(weights, "float32")
        return Expression("dot", values=values, vector=vector, index=np.asarray(first))

    def sparse_dot(
        self, weights: np.ndarray, vector: Vector, rows: Rows, index: np.ndarray, hint
    ) -> Expression:
        """The sum of weights * vector[index] over each row, both (elements,)."""
        term = Expression("multiply", (self.constant(weights), self.load(vector, index)))
        return Expression("reduce", (term,), rows=rows, label="add")

    def reduce(self, operation: str, e: Operand, rows: Rows, range_) -> Expression:
        """The sum or maximum of each row of elements."""
        return Expression("reduce", (self._expression(e),), rows=rows, label=operation)

    def stored(self, e: Operand, vector: Vector) -> Expression:
        """A number as a vector stores it."""
        return self._expression(e)

    def local_vector(self, name: str, size: int, e: Operand) -> tuple[Vector, Expression]:
        """A vector that holds an expression."""
        return Vector(name, size, "float32"), self._expression(e)
