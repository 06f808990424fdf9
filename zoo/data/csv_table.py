"""Tables of numbers and text in CSV files; errors name the column and the line.

A number is decimal: an optional sign, digits 0 to 9 with at most one point, and an optional
exponent, as in -1, .5, 2. and 1e-3. Blanks and tabs around it are skipped. Digits of other scripts,
1_000, 0x10, nan and inf are text.
"""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from zoo.readers import files
from zoo.readers.files import FileError, reason, shown

NUMBER = "number"
NUMBER_OR_BLANK = "number or blank"
# Elapsed times: a number of at least 0.
DURATION = "number of at least 0"
TEXT = "text"

MAX_TABLE_BYTES = 64 << 20
_LISTED = 10
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LARGEST = float(np.finfo("float32").max)


def read(
    path: str | Path, columns: Mapping[str, str], others: list[str] | None = None
) -> dict[str, np.ndarray]:
    """Read a CSV file with a header line.

    Args:
        path: The file.
        columns: Name of each column -> "number", "number or blank" (NaN), "number of at least 0"
            or "text".
        others: A list to which the names of the other columns of the file are added. They are not
            read.

    Returns:
        Each column as float64 or str.

    Raises:
        ValueError: There is no such file, or it is no text in UTF-8; a column is missing or named
            twice; a cell is not a number or exceeds float32; a row is too short or too long; or
            there are no rows.
    """
    path = Path(path)
    lines, header, rows = _rows(path)
    if others is not None:
        others += [name for name in header if name not in columns]
    _require_columns(path, header, list(columns))
    if not rows:
        raise FileError(f"{shown(path)} has no rows below its header.")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(header):
            raise FileError(
                f"{shown(path)}, line {line}: {len(row)} cells, but the header names {len(header)}."
            )
    cells = dict(zip(header, zip(*rows, strict=True), strict=True))
    return {
        name: np.array(cells[name])
        if kind == TEXT
        else np.array(
            [
                _number(path, name, kind, line, cell)
                for line, cell in zip(lines, cells[name], strict=True)
            ]
        )
        for name, kind in columns.items()
    }


def parse_time(text: str) -> datetime:
    """The time in a text of the form 2012-10-02 09:00:00.

    Raises:
        ValueError: The text has another form, or digits of another script.
    """
    if not text.isascii():
        raise ValueError(f"{text[:40]!r} holds other characters than ASCII.")
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S")


def stacked(table: Mapping[str, np.ndarray], columns: Sequence[str]) -> np.ndarray:
    """Stack columns to one sequence: float32 (1, rows, columns)."""
    return np.stack([table[name] for name in columns], axis=-1).astype("float32")[np.newaxis]


def _rows(path: Path) -> tuple[list[int], list[str], list[list[str]]]:
    """The number of the last line of each row, the header, and the rows that are not empty."""
    try:
        text = files.content(path, MAX_TABLE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{shown(path)} is no CSV file in UTF-8: {reason(error)}.") from error
    if "\0" in text:
        raise FileError(f"{shown(path)} is no CSV file: it holds NUL characters.")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        numbered = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise FileError(
            f"{shown(path)} is no CSV file: line {reader.line_num}: {reason(error)}."
        ) from error
    (_, header), *rest = numbered or [(1, [])]
    return [line for line, _ in rest], [name.strip() for name in header], [row for _, row in rest]


def _require_columns(path: Path, received: Sequence[str], expected: Sequence[str]) -> None:
    missing = [name for name in expected if name not in received]
    extra = [name for name in received if name not in expected] if missing else []
    twice = sorted({name for name in received if received.count(name) > 1})
    faults = [
        f"{kind} {_listed(names)}"
        for kind, names in (("missing", missing), ("not known", extra), ("named twice", twice))
        if names
    ]
    if len(received) == 1 and len(expected) > 1:
        for separator, name in _OTHER_SEPARATORS.items():
            if separator in received[0]:
                raise FileError(
                    f"{shown(path)} separates its columns by {name}; the separator must be a "
                    "comma, and the decimal mark a point."
                )
    if faults:
        raise FileError(
            f"{shown(path)}: wrong columns: {'; '.join(faults)}. It needs: {', '.join(expected)}."
        )


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(repr(name[:40]) for name in names[:_LISTED])
    return f"{listed} and {len(names) - _LISTED} more" if len(names) > _LISTED else listed


def _number(path: Path, column: str, kind: str, line: int, cell: str) -> float:
    text = cell.strip(" \t")
    if not text and kind == NUMBER_OR_BLANK:
        return math.nan
    where = f"{shown(path)}, line {line}: column {column!r} holds {cell[:40]!r}"
    if not _DECIMAL.fullmatch(text):
        raise FileError(f"{where}, not a number.")
    value = float(text)
    if abs(value) > _LARGEST:
        raise FileError(f"{where}, which exceeds the largest float32, {_LARGEST:.3g}.")
    if value < 0 and kind == DURATION:
        raise FileError(f"{where}; elapsed times must be at least 0.")
    return value
