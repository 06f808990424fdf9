"""Expressions of C code: integer or float arithmetic on the elements that a loop computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np


@dataclass(frozen=True, eq=False)
class Vector:
    """A vector in memory.

    Attributes:
        name: Its name in C.
        size: Number of elements.
        dtype: "int16", "int32" or "float32".
        fraction: Number of fractional bits: real = stored / 2 ** fraction. 0 for floats.
        low: Least stored integer that occurs.
        high: Greatest stored integer that occurs.
    """

    name: str
    size: int
    dtype: str
    fraction: int = 0
    low: int = 0
    high: int = 0


@dataclass(frozen=True, eq=False)
class Rows:
    """The elements that an inner loop visits: row i has those from offsets[i] to offsets[i + 1].

    Attributes:
        offsets: (rows + 1,).
    """

    offsets: np.ndarray

    @property
    def columns(self) -> int | None:
        """Number of elements of each row, or None if rows differ."""
        counts = np.diff(self.offsets)
        return int(counts[0]) if len(set(counts.tolist())) == 1 else None

    @property
    def row_of(self) -> np.ndarray:
        """The row of each element."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


@dataclass(frozen=True, eq=False)
class Table:
    """Values of a function at equal distances, interpolated linearly.

    Attributes:
        name: Its name in C.
        values: Stored values (count,).
        first: The stored argument of the first value.
        shift: Two values are 2 ** shift steps of the argument apart.
    """

    name: str
    values: np.ndarray
    first: int
    shift: int


@dataclass(frozen=True, eq=False)
class Expression:
    """A number for each neuron of a loop, or for each element that its inner loop visits.

    Attributes:
        operation: A key of `arithmetic.OPERATIONS`, or "load", "constant", "dot" or "reduce".
        arguments: The arguments.
        fraction: Number of fractional bits of an integer.
        low: Least integer that occurs.
        high: Greatest integer that occurs.
        amount: A shift, or a number of bits.
        values: The numbers of a constant; the weights (rows, columns) of a dot product.
        vector: What a load or a dot product reads.
        index: The elements that a load reads; the first column of a dot product.
        rows: The elements that an inner loop reduces.
        table: The table of a tabulated function.
        label: A name for readers of the code.
    """

    operation: str
    arguments: tuple[Expression, ...] = ()
    fraction: int = 0
    low: int = 0
    high: int = 0
    amount: int = 0
    values: np.ndarray | None = None
    vector: Vector | None = None
    index: np.ndarray | None = None
    rows: Rows | None = None
    table: Table | None = None
    label: str = ""

    @property
    def bits(self) -> int:
        """Bits of the greatest magnitude."""
        return max(abs(self.low), abs(self.high)).bit_length()


@dataclass(frozen=True)
class Assignment:
    """`expression` is stored at `places` of `vector`."""

    vector: Vector
    places: np.ndarray
    expression: Expression


@dataclass(frozen=True)
class TypedLoop:
    """A loop over neurons.

    Attributes:
        size: Number of neurons.
        assignments: In the order in which they run.
        comment: The layers and equations that it computes.
    """

    size: int
    assignments: Sequence[Assignment]
    comment: Sequence[str] = ()


@dataclass(frozen=True)
class Copy:
    """A copy of a whole vector into another one of the same type."""

    target: Vector
    source: Vector


@dataclass(frozen=True)
class TypedRepeat:
    """Statements that run `count` times."""

    count: int
    body: Sequence[TypedLoop | Copy]


Statement: TypeAlias = "TypedLoop | TypedRepeat | Copy"


@dataclass(frozen=True)
class Program:
    """One step of a model as statements on vectors.

    Attributes:
        recipe: Name of its recipe.
        inputs: The data inputs, by name.
        states: The states, by name.
        outputs: The outputs, by name; each is written by the last statements.
        locals: Vectors that live for one step.
        statements: In the order in which they run.
    """

    recipe: str
    inputs: dict[str, Vector]
    states: dict[str, Vector]
    outputs: dict[str, Vector]
    locals: Sequence[Vector]
    statements: Sequence[Statement]


def read_vectors(statements: Sequence[Statement]) -> set[Vector]:
    """Return the vectors that statements read."""
    vectors: set[Vector] = set()
    for statement in statements:
        if isinstance(statement, TypedRepeat):
            vectors |= read_vectors(statement.body)
        elif isinstance(statement, Copy):
            vectors.add(statement.source)
        else:
            vectors |= {e.vector for e in expressions_of(statement) if e.vector is not None}
    return vectors


def written_vectors(statements: Sequence[Statement]) -> set[Vector]:
    """Return the vectors that statements write."""
    vectors: set[Vector] = set()
    for statement in statements:
        if isinstance(statement, TypedRepeat):
            vectors |= written_vectors(statement.body)
        elif isinstance(statement, Copy):
            vectors.add(statement.target)
        else:
            vectors |= {assignment.vector for assignment in statement.assignments}
    return vectors


def expressions_of(loop: TypedLoop) -> list[Expression]:
    """Return all expressions of a loop, arguments first, each once."""
    ordered: list[Expression] = []
    seen: set[Expression] = set()

    def visit(expression):
        if expression in seen:
            return
        seen.add(expression)
        for argument in expression.arguments:
            visit(argument)
        ordered.append(expression)

    for assignment in loop.assignments:
        visit(assignment.expression)
    return ordered
