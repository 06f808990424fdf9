"""Indices of loads as arithmetic on loop counters, or as a table where they have no pattern.

The counters are i for neurons, j for the columns of an inner loop, and s for its elements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.c.arithmetic.expressions import Rows

if TYPE_CHECKING:
    from export.c.code.constants import Constants


def index_text(index: np.ndarray, rows: Rows | None, constants: Constants) -> str:
    """Return the index of a load in C.

    Args:
        index: The elements that the loop reads, in its order.
        rows: The elements of an inner loop, or None for the neurons of the outer one.
        constants: Holds tables of indices.
    """
    pattern = _over_neurons(index) if rows is None else _over_elements(index, rows)
    return pattern or constants.index(index, "i" if rows is None else "s")


def _over_neurons(index: np.ndarray) -> str | None:
    line = _linear(index)
    if line is not None:
        return _sum((line[0], "i"), offset=line[1])
    count = len(index)
    for columns in range(2, count // 2 + 1):
        if count % columns == 0 and (plane := _planar(index.reshape(-1, columns))):
            over, across, offset = plane
            return _sum((over, f"(i / {columns})"), (across, f"(i % {columns})"), offset=offset)
    return None


def _over_elements(index: np.ndarray, rows: Rows) -> str | None:
    line = _linear(index)
    if line is not None:
        return _sum((line[0], "s"), offset=line[1])
    if rows.columns and (plane := _planar(index.reshape(-1, rows.columns))):
        return _sum((plane[0], "i"), (plane[1], "j"), offset=plane[2])
    return None


def _linear(index: np.ndarray) -> tuple[int, int] | None:
    """Slope and offset of an index that grows evenly."""
    slope = int(index[1] - index[0]) if len(index) > 1 else 0
    if np.array_equal(index, index[0] + slope * np.arange(len(index))):
        return slope, int(index[0])
    return None


def _planar(index: np.ndarray) -> tuple[int, int, int] | None:
    over = int(index[1, 0] - index[0, 0]) if len(index) > 1 else 0
    across = int(index[0, 1] - index[0, 0]) if index.shape[1] > 1 else 0
    first = int(index[0, 0])
    grid = first + over * np.arange(len(index))[:, None] + across * np.arange(index.shape[1])
    return (over, across, first) if np.array_equal(grid, index) else None


def _sum(*terms: tuple[int, str], offset: int) -> str:
    parts = [name if factor == 1 else f"{factor} * {name}" for factor, name in terms if factor]
    if offset or not parts:
        parts.append(str(offset))
    return " + ".join(parts).replace("+ -", "- ")
