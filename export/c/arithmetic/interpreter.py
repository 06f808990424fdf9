"""Runs a program in NumPy, with the integers that the C code computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from export.c.arithmetic import floats, integers
from export.c.arithmetic.expressions import (
    Copy,
    Expression,
    Program,
    TypedLoop,
    TypedRepeat,
    Vector,
)

LEAST_INTEGER, LEAST_FLOAT = -(2**31), np.float32(-3.4028235e38)


class Interpreter:
    """One step of a program per call.

    Args:
        program: The program.
    """

    def __init__(self, program: Program):
        self.program = program
        self._is_float = program.recipe == "float32"
        self._operations = floats.FLOAT if self._is_float else integers.INTEGER
        self._dtype = "float32" if self._is_float else "int64"

    def step(
        self, inputs: Mapping[str, np.ndarray], states: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return outputs and next states, by name, for stored inputs and states."""
        program = self.program
        memory: dict[Vector, np.ndarray] = {}
        for named, vectors in ((inputs, program.inputs), (states, program.states)):
            for name, vector in vectors.items():
                memory[vector] = np.asarray(named[name]).reshape(-1).astype(self._dtype)
        for vector in [*program.locals, *program.outputs.values()]:
            memory[vector] = np.zeros(vector.size, self._dtype)
        self._run(program.statements, memory)
        outputs = {name: memory[vector] for name, vector in program.outputs.items()}
        return outputs, {name: memory[vector] for name, vector in program.states.items()}

    def _run(self, statements: Sequence[TypedLoop | TypedRepeat | Copy], memory):
        for statement in statements:
            if isinstance(statement, Copy):
                memory[statement.target] = memory[statement.source].copy()
            elif isinstance(statement, TypedRepeat):
                for _ in range(statement.count):
                    self._run(statement.body, memory)
            else:
                self._loop(statement, memory)

    def _loop(self, loop: TypedLoop, memory):
        known: dict[Expression, np.ndarray] = {}
        for assignment in loop.assignments:
            value = self._value(assignment.expression, memory, known)
            memory[assignment.vector][assignment.places] = value

    def _value(self, e: Expression, memory, known) -> np.ndarray:
        if e in known:
            return known[e]
        value: Any
        arguments = [self._value(argument, memory, known) for argument in e.arguments]
        if e.operation == "load":
            assert e.vector is not None
            value = memory[e.vector][e.index]
        elif e.operation == "constant":
            value = e.values
        elif e.operation == "dot":
            value = self._dot(e, memory)
        elif e.operation == "reduce":
            value = _reduced(e, arguments[0])
        elif e.operation == "table":
            assert e.table is not None
            value = integers.look_up(arguments[0], e.table)
        elif e.operation in ("shift_left", "shift_right", "saturate"):
            value = {
                "shift_left": np.left_shift,
                "shift_right": integers.shift_right,
                "saturate": integers.saturate,
            }[e.operation](arguments[0], e.amount)
        else:
            with np.errstate(all="ignore"):
                value = self._operations[e.operation](*arguments)
        known[e] = value
        return value

    def _dot(self, e: Expression, memory) -> np.ndarray:
        weights = e.values
        assert weights is not None and e.vector is not None and e.index is not None
        first = int(e.index)
        source = memory[e.vector][first : first + weights.shape[1]]
        if not self._is_float:
            return weights @ source
        total = np.zeros(len(weights), "float32")
        for column, number in zip(weights.T, source, strict=True):
            total = total + column * number
        return total


def _reduced(e: Expression, values: np.ndarray) -> np.ndarray:
    """The sum or maximum of each row, in the order in which C adds."""
    rows = e.rows
    assert rows is not None
    values = np.broadcast_to(values, rows.offsets[-1:])
    counts, starts = np.diff(rows.offsets), rows.offsets[:-1]
    least = LEAST_FLOAT if values.dtype == "float32" else LEAST_INTEGER
    total = np.full(len(counts), 0 if e.label == "add" else least, values.dtype)
    for j in range(int(counts.max(initial=0))):
        present = counts > j
        term = values[starts[present] + j]
        if e.label == "add":
            total[present] = total[present] + term
        else:
            total[present] = np.where(total[present] > term, total[present], term)
    return total
