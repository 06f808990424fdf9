"""Memory of local vectors: those that are never needed at the same time share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from export.c.expressions import (
    Copy,
    Program,
    Statement,
    TypedLoop,
    TypedRepeat,
    Vector,
    expressions_of,
)


@dataclass
class Block:
    """Memory for vectors of one type, one after the other."""

    vectors: list[Vector] = field(default_factory=list)
    free_after: int = -1

    @property
    def size(self) -> int:
        """Number of elements."""
        return max(vector.size for vector in self.vectors)


def blocks_of(program: Program) -> list[Block]:
    """Return the memory blocks of a program's local vectors."""
    spans = _spans(program)
    blocks: list[Block] = []
    for vector in sorted(spans, key=lambda vector: spans[vector]):
        first, last = spans[vector]
        fitting = [
            block
            for block in blocks
            if block.free_after < first and block.vectors[0].dtype == vector.dtype
        ]
        if fitting:
            # The one whose size differs least.
            block = min(fitting, key=lambda block: abs(block.size - vector.size))
        else:
            block = Block()
            blocks.append(block)
        block.vectors.append(vector)
        block.free_after = last
    return blocks


def _spans(program: Program) -> dict[Vector, tuple[int, int]]:
    """By local vector, the first and the last statement that needs it."""
    locals_ = set(program.locals)
    spans: dict[Vector, tuple[int, int]] = {}
    for position, statement in enumerate(program.statements):
        for vector in _touched([statement]) & locals_:
            first, _ = spans.get(vector, (position, position))
            spans[vector] = first, position
    return spans


def _touched(statements: Sequence[Statement]) -> set[Vector]:
    vectors: set[Vector] = set()
    for statement in statements:
        if isinstance(statement, TypedRepeat):
            vectors |= _touched(statement.body)
        elif isinstance(statement, Copy):
            vectors |= {statement.target, statement.source}
        elif isinstance(statement, TypedLoop):
            vectors |= {assignment.vector for assignment in statement.assignments}
            vectors |= {e.vector for e in expressions_of(statement) if e.vector is not None}
    return vectors
