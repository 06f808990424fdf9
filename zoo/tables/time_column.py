"""The column of times of a table: dates of any common form, or numbers, and their order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.readers.table import Table, pandas
from zoo.tables import columns as columns_of_table

if TYPE_CHECKING:
    import pandas as pd

SECONDS = "s"
DUPLICATES = ("refuse", "keep", "first", "last")
_DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
)
_TIMES = (
    *("", " %H:%M:%S", " %H:%M", " %H:%M:%S.%f", "T%H:%M:%S", "T%H:%M", "T%H:%M:%S.%f"),
    *(" %I:%M:%S %p", " %I:%M %p", ", %H:%M:%S", ", %H:%M", " %H.%M", " %H.%M.%S"),
)
# Numbers of this size are times since 1970 in this unit; the range covers 1990 to 2100.
_EPOCHS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_EARLIEST, _LATEST = 6.3e8, 4.1e9
_TRIED_ROWS = 200


@dataclass(frozen=True)
class Times:
    """The times of a table's rows.

    Attributes:
        values: Float64 (rows,).
        unit: "s" for dates and times since 1970; otherwise "", the unit of the numbers.
        is_date: Whether they are dates.
    """

    values: np.ndarray
    unit: str
    is_date: bool


def parse(table: Table, column: str, form: str | None = None) -> Times:
    """Read the times of a column.

    Args:
        table: The table.
        column: Name of the column. It holds dates in ISO 8601 or in another common form, seconds,
            milliseconds, microseconds or nanoseconds since 1970, or other numbers.
        form: The form of the dates as `datetime.strptime` takes it; needed where two forms fit.

    Raises:
        ValueError: A cell is blank or no time, or the form of the dates is not known.
    """
    pd = pandas()

    cells = table.frame[column]
    blank = np.flatnonzero(cells.isna())
    if len(blank):
        raise ValueError(
            f"{table.name}: {len(blank):,} cells of the time column {column!r} are blank, the "
            f"first in {table.place(blank[0])}."
        )
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return _dates(cells)
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return _numbers(cells.to_numpy())
    if columns_of_table.is_mostly_numbers(cells):
        # Raises the error that names the first text among the numbers.
        columns_of_table.numbers_of(table, column)
    return _dates(_parsed(table, cells.astype(str), column, form))


def _dates(times: "pd.Series") -> Times:
    pd = pandas()

    utc = pd.to_datetime(times, utc=True).dt.tz_localize(None)
    nanoseconds = utc.to_numpy().astype("datetime64[ns]").astype("int64")
    return Times(nanoseconds / 1e9, SECONDS, True)


def _numbers(values: np.ndarray) -> Times:
    low, high = np.min(values), np.max(values)
    for scale in _EPOCHS.values():
        if low / scale > _EARLIEST and high / scale < _LATEST:
            return Times(values / scale, SECONDS, True)
    return Times(values.astype("float64"), "", False)


def _parsed(table: Table, cells: "pd.Series", column: str, form: str | None) -> "pd.Series":
    pd = pandas()

    if form is not None:
        return _strict(table, cells, column, form)
    try:
        return pd.to_datetime(cells, format="ISO8601", utc=True)
    except (ValueError, OverflowError):
        pass
    candidates = [date + time for date in _DATES for time in _TIMES]
    first = cells.iloc[:_TRIED_ROWS]
    fitting = [c for c in candidates if _matches(first, c)]
    fitting = [c for c in fitting if len(first) == len(cells) or _matches(cells, c)]
    if len(fitting) > 1:
        # Day and month can be exchanged in each date; in the wrong form the order breaks.
        fitting = [c for c in fitting if pd.to_datetime(cells, format=c).is_monotonic_increasing]
    if len(fitting) == 1:
        return pd.to_datetime(cells, format=fitting[0])
    example = str(cells.iloc[0])[:40]
    if fitting:
        raise ValueError(
            f"{table.name}: the dates of column {column!r}, such as {example!r}, can be read as "
            f"{' or '.join(fitting)}; choose one with --time-format (time_format)."
        )
    return _strict(table, cells, column, _likeliest(first, candidates))


def _matches(cells: "pd.Series", form: str) -> bool:
    pd = pandas()

    return bool(pd.to_datetime(cells, format=form, errors="coerce").notna().all())


def _likeliest(cells: "pd.Series", candidates: Sequence[str]) -> str | None:
    """The form that fits most cells; None if none fits any."""
    pd = pandas()

    counts = {
        c: int(pd.to_datetime(cells, format=c, errors="coerce").notna().sum()) for c in candidates
    }
    best = max(counts, key=lambda c: counts[c])
    return best if counts[best] else None


def _strict(table: Table, cells: "pd.Series", column: str, form: str | None) -> "pd.Series":
    """Dates of one form; the error names the first cell that has another."""
    pd = pandas()

    if form is None:
        parsed: Any = pd.to_datetime(cells, format="ISO8601", errors="coerce", utc=True)
    else:
        parsed = pd.to_datetime(cells, format=form, errors="coerce")
    wrong = np.flatnonzero(parsed.isna())
    if not len(wrong):
        return parsed
    expected = f"of the form {form}" if form else "a time such as 2026-01-31 14:05:00"
    raise ValueError(
        f"{table.name}, {table.place(wrong[0])}: column {column!r} holds "
        f"{str(cells.iloc[wrong[0]])[:40]!r}, not {expected}. Other forms: --time-format "
        "(time_format)."
    )


def in_order(
    table: Table, times: Times, groups: np.ndarray, duplicates: str, sort: bool
) -> np.ndarray:
    """The rows of a table in the order of their times within each group.

    Args:
        table: The table.
        times: Its times.
        groups: The group of each row, as numbers from 0 in the order of their first rows.
        duplicates: "refuse" rows of one group with one time, "keep" them all, or keep the "first"
            or the "last" of them.
        sort: Whether to sort the rows; otherwise they must be in order.

    Returns:
        Positions of rows, with the rows of each group one after the other.

    Raises:
        ValueError: Rows are not in order, or have one time. The message counts them.
    """
    order = np.argsort(groups, kind="stable")
    if sort:
        order = np.lexsort((times.values, groups))
    same = groups[order][1:] == groups[order][:-1]
    gaps = np.diff(times.values[order])
    back = np.flatnonzero(same & (gaps < 0))
    if len(back):
        raise ValueError(
            f"{table.name}: {len(back):,} times are earlier than the one before, the first in "
            f"{table.place(order[back[0] + 1])}; sort the rows, or use --sort (sort=True). If the "
            "table holds several recordings, name the column that tells them apart with --group."
        )
    repeated = same & (gaps == 0)
    if not repeated.any() or duplicates == "keep":
        return order
    if duplicates == "refuse":
        first = np.flatnonzero(repeated)[0]
        raise ValueError(
            f"{table.name}: {int(repeated.sum()):,} times occur more than once, the first again in "
            f"{table.place(order[first + 1])}; choose the rows to use with --duplicates first, "
            "last or keep. If the table holds several recordings, name their column with --group."
        )
    drop = np.append(False, repeated) if duplicates == "first" else np.append(repeated, False)
    return order[~drop]
