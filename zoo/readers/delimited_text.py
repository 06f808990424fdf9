"""Tables in text files, with checks of their headers and of the lengths of their rows."""

import dataclasses
import itertools
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.extras import extra
from zoo.readers import table_format
from zoo.readers.files import FileError, reason, shown
from zoo.readers.table_format import TableFormat
from zoo.readers.text import printable


def read(
    path: Path, form: TableFormat, max_rows: int, missing: list[str], text: Sequence[str] | None
) -> tuple[Any, TableFormat, tuple[str, ...]]:
    """Read a table from a text file.

    Args:
        path: The file.
        form: Its format, as detected.
        max_rows: Number of rows after which reading ends.
        missing: Cells that stand for no value.
        text: Columns that stay text; None for all, with no cell that stands for no value.

    Returns:
        A DataFrame; the format, with another encoding if that was needed; and remarks for the user.

    Raises:
        FileError: The file is no table, has no header, or a row has fewer or more cells than it.
    """
    notes = []
    options = {
        "dtype": str if text is None else dict.fromkeys(text, str),
        "na_values": [] if text is None else missing,
        "nrows": max_rows,
    }
    try:
        frame, is_cut = _parsed(path, form, options)
    except UnicodeDecodeError as error:
        failure = FileError(
            f"{shown(path)} is no text in {form.encoding.removesuffix('-sig').upper()}: "
            f"{reason(error)}."
        )
        if form.encoding == "utf-16":
            raise failure from error
        # The encoding of Western European spreadsheets.
        form = dataclasses.replace(form, encoding="cp1252")
        notes.append(f"{shown(path)} is no text in UTF-8; read as Windows-1252.")
        try:
            frame, is_cut = _parsed(path, form, options)
        except UnicodeDecodeError:
            raise failure from error
    # The names as they are written: pandas numbers those that occur twice.
    _, header = next(table_format.rows(path, form))
    if len(header) != frame.shape[1]:
        # Odd quotation marks, or a second byte order mark.
        raise FileError(
            f"{shown(path)} is no table: its header names {len(header)} columns, but there are "
            f"{frame.shape[1]}."
        )
    frame.columns = [printable(name).strip() for name in header]
    if all(map(_is_number, frame.columns)):
        raise FileError(
            f"{shown(path)} has no header: its first line holds numbers only. The first line must "
            "name the columns."
        )
    if is_cut or (len(frame) and (frame.iloc[:, -1].isna() | (frame.iloc[:, -1] == "")).any()):
        _require_whole_rows(path, form)
    if frame.columns[0] in ("", "Unnamed: 0"):
        # The index that pandas writes; it reads it under the second name.
        frame = frame.iloc[:, 1:]
        notes.append("The first column has no name; it is left out.")
    return frame, form, tuple(notes)


def line_of(path: Path, form: TableFormat, position: int) -> int:
    """The line of the row at a position; cells with line breaks and blank lines count."""
    try:
        numbered = itertools.islice(table_format.rows(path, form), position + 1, None)
        return next(line for line, _ in numbered)
    except FileError:
        return form.blank_lines + position + 2


def _parsed(path: Path, form: TableFormat, options: dict[str, Any]) -> tuple[Any, bool]:
    """The rows of a file, and whether pandas cut off cells to the right of the header."""
    with extra("zoo"):
        import pandas as pd

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                sep=form.separator,
                decimal=form.decimal,
                encoding=form.encoding,
                encoding_errors="strict",
                header=form.blank_lines,
                keep_default_na=False,
                skip_blank_lines=False,
                index_col=False,
                float_precision="round_trip",
                low_memory=False,
                **options,
            )
    except UnicodeDecodeError:
        raise
    except (ValueError, OSError, MemoryError, OverflowError) as error:
        if isinstance(error, pd.errors.ParserError):
            # Names the row and both counts, as for short rows.
            _require_whole_rows(path, form)
        raise FileError(f"{shown(path)} is no table: {reason(error)}.") from error
    return frame, any(issubclass(warning.category, pd.errors.ParserWarning) for warning in caught)


def _require_whole_rows(path: Path, form: TableFormat) -> None:
    """Refuse rows with fewer cells than the header, which pandas fills, or with more."""
    rows = table_format.rows(path, form)
    width = len(next(rows)[1])
    for line, row in rows:
        if any(row if len(row) < width else row[width:]):
            raise FileError(
                f"{shown(path)}, line {line:,}: {len(row)} cells, but the header names {width}."
            )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
