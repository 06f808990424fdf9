"""The kinds of columns that presets declare for their tables, and the check of each kind.

Numbers in text files are decimal: an optional sign, digits 0 to 9 with at most one decimal mark,
and an optional exponent, as in -1, .5, 2. and 1e-3. Blanks and tabs around them are skipped. Digits
of other scripts, 1_000, 0x10, nan and inf are text.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zoo.readers import table as tables
from zoo.readers import time_column
from zoo.readers.files import FileError
from zoo.readers.number_column import LARGEST, kind_of
from zoo.readers.table import MAX_ROWS, Table

NUMBER = "number"
NUMBER_OR_BLANK = "number or blank"
# Elapsed times: a number of at least 0.
DURATION = "number of at least 0"
TIME = "time"
TEXT = "text"

_LISTED = 10
# The offset from UTC, or Z, after a time of day.
_ZONE = re.compile(r"(:[0-9]{2}(?:\.[0-9]+)?)\s*(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)")


def read(
    path: str | Path, kinds: Mapping[str, str], max_rows: int = MAX_ROWS
) -> dict[str, np.ndarray]:
    """Read columns of a file; see `zoo.readers.table.read_cells` and `checked`."""
    return checked(tables.read_cells(path, max_rows), kinds)


def checked(table: Table, kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The columns of a table as arrays of their kinds.

    Args:
        table: A table as `zoo.readers.table.read_cells` returns it. Other columns are not read.
        kinds: Name of each column -> "number", "number or blank" (NaN), "number of at least 0",
            "time" or "text".

    Returns:
        Numbers as float64, texts as str, and times as datetime64[us]: the time that a clock at the
        place showed, without its offset from UTC; numbers since 1970 are times in UTC.

    Raises:
        FileError: A column is missing, or a cell is not of its kind or exceeds float32.
        ValueError: A cell is no time.
    """
    _require_columns(table, list(kinds))
    read = {TEXT: _texts, TIME: _times}
    return {
        name: read[kind](table, name) if kind in read else _numbers(table, name, kind)
        for name, kind in kinds.items()
    }


def stacked(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Stack columns to one sequence: float32 (1, rows, columns)."""
    return np.stack([columns[name] for name in names], axis=-1).astype("float32")[np.newaxis]


def next_rows(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """The row after each row: float32 (rows, columns), NaN after the last one."""
    rows = stacked(columns, names)[0]
    return np.concatenate([rows[1:], np.full_like(rows[:1], np.nan)])


def _require_columns(table: Table, expected: Sequence[str]) -> None:
    received = list(table.frame.columns)
    missing = [name for name in expected if name not in received]
    if not missing:
        return
    extra = [name for name in received if name not in expected]
    unknown = f"; not known {_listed(extra)}" if extra else ""
    raise FileError(
        f"{table.name}: wrong columns: missing {_listed(missing)}{unknown}. It needs: "
        f"{', '.join(expected)}."
    )


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(repr(name[:40]) for name in names[:_LISTED])
    return f"{listed} and {len(names) - _LISTED} more" if len(names) > _LISTED else listed


def _texts(table: Table, name: str) -> np.ndarray:
    texts = _stripped(table, name)
    _refuse(table, name, np.array(["\0" in text for text in texts]), "; NUL is no text.")
    return np.array(texts)


def _times(table: Table, name: str) -> np.ndarray:
    cells = tables.cleaned(table.frame[name], is_text=False)
    if str(cells.dtype).startswith("datetime64"):
        cells = cells.dt.tz_localize(None)
    elif kind_of(cells) == "text":
        cells = cells.map(_without_zone, na_action="ignore")
    column = dataclasses.replace(table, frame=cells.to_frame())
    times = time_column.parse(column, name, option=None)
    if not times.is_date:
        _refuse(table, name, np.ones(len(cells), bool), ", not a time such as 2026-01-31 14:05:00.")
    return (times.values * 1e6).round().astype("int64").astype("datetime64[us]")


def _without_zone(cell: object) -> str:
    text = str(cell)
    match = _ZONE.search(text)
    return text[: match.end(1)] if match and match.end() == len(text) else text


def _numbers(table: Table, name: str, kind: str) -> np.ndarray:
    cells = table.frame[name]
    fault = ", not a number."
    if kind_of(cells) == "number":
        values = cells.to_numpy(dtype="float64", na_value=np.nan)
        blank = np.isnan(values)
        wrong = blank.copy()
    else:
        if table.decimal != ".":
            fault = f", not a number with decimal mark {table.decimal!r}."
        texts = _stripped(table, name)
        mark = re.escape(table.decimal)
        is_number = re.compile(
            rf"[+-]?([0-9]+{mark}?[0-9]*|{mark}[0-9]+)([eE][+-]?[0-9]+)?"
        ).fullmatch
        values = np.array(
            [float(t.replace(table.decimal, ".")) if is_number(t) else np.nan for t in texts]
        )
        blank = np.array([not text for text in texts])
        wrong = np.isnan(values)
    _refuse(table, name, wrong & ~blank if kind == NUMBER_OR_BLANK else wrong, fault)
    too_large = f", which exceeds the largest float32, {LARGEST:.3g}."
    _refuse(table, name, np.abs(values) > LARGEST, too_large)
    if kind == DURATION:
        _refuse(table, name, values < 0, "; elapsed times must be at least 0.")
    return values


def _stripped(table: Table, name: str) -> list[str]:
    """The cells of a column as text without blanks around it; "" where there is none."""
    cells = table.frame[name]
    return [
        "" if is_blank else str(cell).strip(" \t")
        for cell, is_blank in zip(cells, cells.isna(), strict=True)
    ]


def _refuse(table: Table, name: str, wrong: np.ndarray, fault: str) -> None:
    """Raise an error that names the first wrong cell and its place."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        cell = table.frame[name].iloc[rows[0]]
        raise FileError(
            f"{table.name}, {table.place(rows[0])}: column {name!r} holds {str(cell)[:40]!r}{fault}"
        )
