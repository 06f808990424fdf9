"""Tables of the user: CSV files in any common format, Parquet files, and pandas DataFrames.

pandas reads them. Every failure is one error that names the file and the cause.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.extras import extra
from zoo.readers import delimited_text, files, table_format
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
        notes: Remarks about the reading for the user.
        line_of: Function from the position of a row to its line; None if it is no text file.
        decimal: The decimal mark of numbers that are text, "." or ",".
    """

    frame: Any
    name: str
    notes: tuple[str, ...] = ()
    line_of: Callable[[int], int] | None = None
    decimal: str = "."

    def place(self, row: Any) -> str:
        """Where a row is: "line 12" of a text file, or "row 10"."""
        return self.place_of(int(self.frame.index[row]))

    def place_of(self, position: int) -> str:
        """Where the row at a position of the file is."""
        if self.line_of is None:
            return f"row {position + 1:,}"
        return f"line {self.line_of(position):,}"


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
    table = _loaded(source, max_rows, text)
    frame: Any = table.frame.apply(lambda column: cleaned(column, str(column.name) in text))
    return dataclasses.replace(table, frame=frame)


def read_cells(source: "str | Path | pd.DataFrame", max_rows: int = MAX_ROWS) -> Table:
    """Read a table without a guess at the meaning of its cells.

    Args:
        source: See `read`.
        max_rows: See `read`.

    Returns:
        The table. The cells of text files are text as it is written, "" where there is none; the
        columns of other tables have their types.

    Raises:
        ValueError: See `read`.
    """
    return _loaded(source, max_rows, None)


def _loaded(
    source: "str | Path | pd.DataFrame", max_rows: int, text: Sequence[str] | None
) -> Table:
    """A table without the rows that hold no value; if text is None, cells of files stay text."""
    pd = pandas()

    if isinstance(source, pd.DataFrame):
        table = Table(_without_index(source).copy(), "the table")
    else:
        path = files.require_file(str(source))
        if path.suffix.lower() not in SUFFIXES:
            raise FileError(f"{shown(path)} must be a table: {', '.join(SUFFIXES)}.")
        is_parquet = path.suffix.lower() == ".parquet"
        table = _parquet(path, max_rows) if is_parquet else _text(path, max_rows, text)
    _require_columns(table)
    if len(table.frame) > max_rows:
        raise FileError(_too_many(table.name, len(table.frame), max_rows, ""))
    return _without_blank_rows(table)


def _without_blank_rows(table: Table) -> Table:
    filled = table.frame.notna()
    if table.line_of is not None:
        filled &= table.frame != ""
    positions = np.flatnonzero(filled.any(axis=1))
    if not len(positions):
        raise FileError(f"{table.name} has no rows below its header.")
    # Spreadsheets write such rows at the end; between others they may stand for lost values.
    blank = np.setdiff1d(np.arange(positions[-1]), positions)
    notes = table.notes
    if len(blank):
        first = table.place_of(int(blank[0]))
        notes += (f"Rows without any value are left out: {len(blank):,}, the first is {first}.",)
    return dataclasses.replace(table, frame=table.frame.iloc[positions], notes=notes)


def _text(path: Path, max_rows: int, text: Sequence[str] | None) -> Table:
    form = table_format.detect(path)
    if form.rows > 1.1 * max_rows:
        raise FileError(_too_many(shown(path), form.rows, max_rows, "about "))
    frame, form, notes = delimited_text.read(path, form, max_rows + 1, list(MISSING), text)
    line_of = functools.partial(delimited_text.line_of, path, form)
    return Table(frame, shown(path), notes, line_of, form.decimal)


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
    frame = _without_index(frame)
    frame.columns = [printable(str(name)).strip() for name in frame.columns]
    return Table(frame, shown(path))


def _without_index(frame: Any) -> Any:
    """A frame whose index are the positions of its rows; an index with a name is a column."""
    return frame.reset_index() if frame.index.name else frame.reset_index(drop=True)


def _too_many(name: str, rows: int, max_rows: int, about: str) -> str:
    return (
        f"{name} has {about}{rows:,} rows; at most {max_rows:,} are read. Keep fewer rows, for "
        "example every tenth, or allow more with --max-rows of lnn fit, predict and evaluate (the "
        "argument max_rows)."
    )


def _require_columns(table: Table) -> None:
    names = [str(name) for name in table.frame.columns]
    if len(names) > MAX_COLUMNS:
        raise FileError(f"{table.name} has {len(names):,} columns; at most {MAX_COLUMNS:,}.")
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise FileError(f"{table.name} names the column {twice[0]!r} twice.")
    unnamed = [i for i, name in enumerate(names) if name in ("", f"Unnamed: {i}")]
    if unnamed:
        raise FileError(f"{table.name}: column {unnamed[0] + 1} has no name.")


def cleaned(column: "pd.Series", is_text: bool) -> "pd.Series":
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
