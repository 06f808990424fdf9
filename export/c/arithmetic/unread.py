"""Removes vectors that are stored and never read."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from export.c.arithmetic.expressions import (
    Copy,
    Program,
    Statement,
    TypedLoop,
    TypedRepeat,
    Vector,
    read_vectors,
)


def without_unread(program: Program) -> Program:
    """Return a program without the local vectors that nothing reads."""
    while True:
        read = read_vectors(program.statements)
        kept = [vector for vector in program.locals if vector in read]
        if len(kept) == len(program.locals):
            return program
        needed = {*kept, *program.states.values(), *program.outputs.values()}
        statements = _writing(program.statements, needed)
        program = dataclasses.replace(program, locals=kept, statements=statements)


def _writing(statements: Sequence[Statement], needed: set[Vector]) -> list[Statement]:
    """The statements without those that write other vectors."""
    kept: list[Statement] = []
    for statement in statements:
        if isinstance(statement, TypedRepeat):
            body = _writing(statement.body, needed)
            kept.append(dataclasses.replace(statement, body=body))
        elif isinstance(statement, Copy):
            kept += [statement] if statement.target in needed else []
        else:
            assignments = [a for a in statement.assignments if a.vector in needed]
            if assignments:
                kept.append(TypedLoop(statement.size, assignments, statement.comment))
    return kept
