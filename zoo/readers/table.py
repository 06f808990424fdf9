"""Tables of the user: CSV files in any common format, Parquet files, and pandas DataFrames.

pandas reads them. Every failure is one error that names the file and the cause.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.extras import extra
from zoo.readers import files, table_format
from zoo.readers.files import FileError, reason, shown
from zoo.readers.text import printable

if TYPE_CHECKING:
    import pandas as pd

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
SUFFIXES = (*TEXT_SUFFIXES, ".parquet")
# Rows that are read unless the caller allows more: about 2 GB of memory at 50 columns.
MAX_ROWS = 2_000_000
MAX_COLUMNS = 4_096
# Cells without a value, as programs write them.
MISSING = ("", "NA", "N/A", "NaN", "nan", "-nan", "null", "NULL", "#N/A", "<NA>")
# The same in columns that are otherwise numbers.
_MISSING_NUMBERS = ("None", "none", "-", "--", "?", ".", "NONE", "na", "n/a", "missing")


@dataclass(frozen=True)
class Table:
    """A table, and where it comes from.

    Attributes:
        frame: The rows, a pandas.DataFrame. The index holds the positions of the rows in the
            file, from 0; rows without any value are left out.
        name: The name of the file, for messages.
        is_text: Whether messages count lines of a text file, whose first line is the header.
        notes: Remarks about the reading for the user.
    """

    frame: Any
    name: str
    is_text: bool = False
    notes: tuple[str, ...] = ()

    def place(self, row: Any) -> str:
        """Where a row is: "line 12" of a text file, or "row 10"."""
        position = int(self.frame.index[row])
        return f"line {position + 2:,}" if self.is_text else f"row {position + 1:,}"


def pandas() -> Any:
    """The package pandas. Its stubs know the results of few functions, so it has no type.

    Raises:
        MissingExtraError: It is not installed.
    """
    with extra("zoo"):
        import pandas
    return pandas


def read(
    source: "str | Path | pd.DataFrame", max_rows: int = MAX_ROWS, text: Sequence[str] = ()
) -> Table:
    """Read a table.

    Args:
        source: A .csv, .tsv or .txt file with a header line, whose separator, decimal mark and
            encoding are detected; a .parquet file; or a DataFrame.
        max_rows: The largest number of rows. The file is not read if its size shows more.
        text: Columns that stay text, also if all of their cells are numbers.

    Returns:
        The table. Columns are float64, text (object) or times (datetime64).

    Raises:
        ValueError: There is no such file, it is no table, it has too many rows or none, or two
            columns have one name.
    """
    pd = pandas()

    if isinstance(source, pd.DataFrame):
        given: Any = source
        frame = given.reset_index() if given.index.name else given.reset_index(drop=True)
        table = Table(frame.copy(), "the table")
    else:
        path = files.require_file(str(source))
        if path.suffix.lower() not in SUFFIXES:
            raise FileError(f"{shown(path)} must be a table: {', '.join(SUFFIXES)}.")
        is_parquet = path.suffix.lower() == ".parquet"
        table = _parquet(path, max_rows) if is_parquet else _text(path, max_rows, text)
    _require_columns(table)
    if len(table.frame) > max_rows:
        raise FileError(_too_many(table.name, len(table.frame), max_rows, ""))
    rows = table.frame.dropna(how="all")
    if rows.empty:
        raise FileError(f"{table.name} has no rows below its header.")
    cleaned: Any = rows.apply(lambda column: _cleaned(column, str(column.name) in text))
    return Table(cleaned, table.name, table.is_text, table.notes)


def _text(path: Path, max_rows: int, text: Sequence[str]) -> Table:
    form = table_format.detect(path)
    if form.rows > 1.1 * max_rows:
        raise FileError(_too_many(shown(path), form.rows, max_rows, "about "))
    notes = []
    try:
        frame = _read_csv(path, form, form.encoding, max_rows, text)
    except UnicodeDecodeError:
        # The encoding of Western European spreadsheets; it knows a character for every byte.
        frame = _read_csv(path, form, "cp1252", max_rows, text)
        notes.append(f"{shown(path)} is no text in UTF-8; read as Windows-1252.")
    frame.columns = [printable(str(name)).strip() for name in frame.columns]
    if all(_is_number(name) for name in frame.columns):
        raise FileError(
            f"{shown(path)} has no header: its first line holds numbers only. The first line must "
            "name the columns."
        )
    if len(frame) and frame.iloc[:, -1].isna().any():
        _require_whole_rows(path, form, notes)
    if frame.columns[0] in ("", "Unnamed: 0"):
        # The index that pandas writes.
        frame = frame.iloc[:, 1:]
        notes.append("The first column has no name; it is left out.")
    return Table(frame, shown(path), True, tuple(notes))


def _read_csv(
    path: Path, form: table_format.TableFormat, encoding: str, max_rows: int, text: Sequence[str]
) -> "pd.DataFrame":
    pd = pandas()

    try:
        return pd.read_csv(
            path,
            sep=form.separator,
            decimal=form.decimal,
            encoding=encoding,
            encoding_errors="strict",
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values=list(MISSING),
            skip_blank_lines=False,
            index_col=False,
            float_precision="round_trip",
            low_memory=False,
            nrows=max_rows + 1,
        )
    except UnicodeDecodeError:
        raise
    except (ValueError, OSError, MemoryError, OverflowError) as error:
        raise FileError(f"{shown(path)} is no table: {reason(error)}.") from error


def _require_whole_rows(path: Path, form: table_format.TableFormat, notes: list[str]) -> None:
    """Refuse rows with fewer cells than the header, which pandas fills."""
    encoding = "cp1252" if notes else form.encoding
    with path.open(encoding=encoding, newline="") as lines:
        reader = csv.reader(lines, delimiter=form.separator)
        width = len(next(row for row in reader if row))
        for row in reader:
            if row and len(row) < width and any(row):
                raise FileError(
                    f"{shown(path)}, line {reader.line_num:,}: {len(row)} cells, but the header "
                    f"names {width}."
                )


def _parquet(path: Path, max_rows: int) -> Table:
    with extra("parquet"):
        import pyarrow.parquet
    try:
        file = pyarrow.parquet.ParquetFile(path)
        rows = file.metadata.num_rows
        if rows <= max_rows:
            frame = file.read().to_pandas()
    # Arrow has errors of its own classes.
    except Exception as error:
        raise FileError(f"{shown(path)} is no Parquet file: {reason(error)}.") from error
    if rows > max_rows:
        raise FileError(_too_many(shown(path), rows, max_rows, ""))
    frame = frame.reset_index() if frame.index.name else frame.reset_index(drop=True)
    frame.columns = [printable(str(name)).strip() for name in frame.columns]
    return Table(frame, shown(path))


def _too_many(name: str, rows: int, max_rows: int, about: str) -> str:
    return (
        f"{name} has {about}{rows:,} rows; at most {max_rows:,} are read. Keep fewer rows, for "
        "example every tenth, or allow more with --max-rows (the argument max_rows)."
    )


def _require_columns(table: Table) -> None:
    names = [str(name) for name in table.frame.columns]
    # pandas numbers the second of two columns with one name.
    twice = [n for n in names if names.count(n) > 1 or (n[-2:] == ".1" and n[:-2] in names)]
    if twice:
        raise FileError(f"{table.name} names the column {twice[0].removesuffix('.1')!r} twice.")
    unnamed = [i for i, name in enumerate(names) if name in ("", f"Unnamed: {i}")]
    if unnamed:
        raise FileError(f"{table.name}: column {unnamed[0] + 1} has no name.")
    if len(names) > MAX_COLUMNS:
        raise FileError(f"{table.name} has {len(names):,} columns; at most {MAX_COLUMNS:,}.")


def _cleaned(column: "pd.Series", is_text: bool) -> "pd.Series":
    """A column as float64, as times or as text."""
    pd = pandas()

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column
    if is_text:
        return column.astype(object).where(column.notna(), None)
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
        return _number_column(column)
    text = column.astype(object).map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    is_missing = text.isna() | text.isin((*MISSING, *_MISSING_NUMBERS))
    numbers = pd.to_numeric(text.where(~is_missing, None), errors="coerce")
    if not is_missing.all() and numbers[~is_missing].notna().all():
        return numbers.astype("float64")
    return text.where(~(text.isna() | text.isin(MISSING)), None)


def _number_column(column: "pd.Series") -> "pd.Series":
    # Integers stay exact: time stamps in nanoseconds exceed the digits of float64.
    is_integer = str(column.dtype).lower().startswith("int") and column.notna().all()
    return column.astype("int64") if is_integer else column.astype("float64")


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
