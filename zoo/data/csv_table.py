"""Tables of numbers and text in CSV files; errors name the column and the line."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

NUMBER = "number"
NUMBER_OR_BLANK = "number or blank"
TEXT = "text"


def read(path: str | Path, columns: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Read a CSV file with a header line.

    Args:
        path: The file.
        columns: Name of each column -> "number", "number or blank" (NaN) or "text".

    Returns:
        Each column as float64 or str.

    Raises:
        ValueError: A column is missing, unknown or named twice, a cell is not a number, a row is
            too short or too long, or there are no rows.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file: {error}.") from error
    header = [name.strip() for name in header]
    _require_columns(path, header, list(columns))
    if not rows:
        raise ValueError(f"{path} has no rows below its header.")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(
                f"{path}, line {number}: {len(row)} cells, but the header names {len(header)}."
            )
    cells = dict(zip(header, zip(*rows, strict=True), strict=True))
    return {
        name: np.array(cells[name])
        if kind == TEXT
        else np.array([_number(path, name, kind, i, cell) for i, cell in enumerate(cells[name], 2)])
        for name, kind in columns.items()
    }


def stacked(table: Mapping[str, np.ndarray], columns: Sequence[str]) -> np.ndarray:
    """Stack columns to one sequence: float32 (1, rows, columns)."""
    return np.stack([table[name] for name in columns], axis=-1).astype("float32")[np.newaxis]


def _require_columns(path: Path, received: Sequence[str], expected: Sequence[str]) -> None:
    missing = [name for name in expected if name not in received]
    extra = [name for name in received if name not in expected]
    twice = sorted({name for name in received if received.count(name) > 1})
    faults = [
        f"{kind} {', '.join(map(repr, names))}"
        for kind, names in (("missing", missing), ("not known", extra), ("named twice", twice))
        if names
    ]
    if faults:
        raise ValueError(
            f"{path}: wrong columns: {'; '.join(faults)}.\nIt needs: {', '.join(expected)}."
        )


def _number(path: Path, column: str, kind: str, line: int, cell: str) -> float:
    text = cell.strip()
    if not text and kind == NUMBER_OR_BLANK:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{path}, line {line}: column {column!r} holds {cell!r}, not a number.")
    return value
