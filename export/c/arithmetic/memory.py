"""Memory of vectors: those that are never needed at the same time share it.

The memory of a state is free after the last loop that reads the state, until its next value is
written. A loop may overwrite a vector that it reads if each neuron reads its own element only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from export.c.arithmetic.expressions import (
    Copy,
    Program,
    Statement,
    TypedLoop,
    Vector,
    expressions_of,
    read_vectors,
    written_vectors,
)
from export.c.graph.loops import is_identity


@dataclass
class Block:
    """Memory for vectors of one type, one after the other.

    Attributes:
        state: The state that the memory belongs to, or None.
        vectors: The local vectors that use it.
        last: The statement after which it is free.
        until: The statement before which it must be free again.
        occupant: The vector that used it last.
    """

    state: Vector | None = None
    vectors: list[Vector] = field(default_factory=list)
    last: int = -1
    until: int | None = None
    occupant: Vector | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        members = [*self.vectors, *([self.state] if self.state else [])]
        return max(vector.size for vector in members)

    @property
    def dtype(self) -> str:
        """Type of the elements."""
        return (self.state or self.vectors[0]).dtype


def blocks_of(program: Program) -> list[Block]:
    """Return the memory blocks of a program's local vectors."""
    spans = _spans(program)
    blocks = _blocks_of_states(program)
    for vector in sorted(set(program.locals) & spans.keys(), key=lambda v: (spans[v], v.name)):
        first, last = spans[vector]
        fitting = [block for block in blocks if _fits(program, block, vector, first, last)]
        if fitting:
            # That of a state, which takes no memory of its own; else the most similar size.
            block = min(fitting, key=lambda b: (b.state is None, abs(b.size - vector.size)))
        else:
            block = Block()
            blocks.append(block)
        block.vectors.append(vector)
        block.last, block.occupant = last, vector
    return [block for block in blocks if block.vectors]


def _fits(program: Program, block: Block, vector: Vector, first: int, last: int) -> bool:
    if block.dtype != vector.dtype:
        return False
    if block.state is not None:
        if vector.size > block.state.size:
            return False
        until = block.until
        becomes_state = (
            until is not None
            and last == until
            and program.statements[until] == Copy(block.state, vector)
        )
        if until is not None and last >= until and not becomes_state:
            return False
    if block.last < first:
        return True
    return (
        block.last == first
        and block.occupant is not None
        and _in_place(program.statements[first], block.occupant, vector)
    )


def _in_place(statement: Statement, read: Vector, written: Vector) -> bool:
    """Whether a loop can write a vector over one that it reads."""
    if not isinstance(statement, TypedLoop) or len(statement.assignments) != 1:
        return False
    (assignment,) = statement.assignments
    loads = [e for e in expressions_of(statement) if e.vector is read]
    return (
        assignment.vector is written
        and is_identity(assignment.places, statement.size)
        and all(
            e.operation == "load" and e.index is not None and is_identity(e.index, statement.size)
            for e in loads
        )
    )


def _blocks_of_states(program: Program) -> list[Block]:
    blocks = []
    for state in program.states.values():
        writes = [i for i, s in enumerate(program.statements) if state in written_vectors([s])]
        reads = [i for i, s in enumerate(program.statements) if state in read_vectors([s])]
        until, last = min(writes, default=None), max(reads, default=-1)
        if until is not None and last <= until:
            blocks.append(Block(state, last=last, until=until, occupant=state))
    return blocks


def _spans(program: Program) -> dict[Vector, tuple[int, int]]:
    """By vector, the first and the last statement that needs it."""
    spans: dict[Vector, tuple[int, int]] = {}
    for position, statement in enumerate(program.statements):
        for vector in read_vectors([statement]) | written_vectors([statement]):
            first, _ = spans.get(vector, (position, position))
            spans[vector] = first, position
    return spans
