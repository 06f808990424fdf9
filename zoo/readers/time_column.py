"""Columns of times in tables: dates of any common form, or numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.readers.number_column import is_mostly_numbers, numbers_of
from zoo.readers.table import Table, pandas

if TYPE_CHECKING:
    import pandas as pd

SECONDS = "s"
OPTION = "--time-format (time_format)"
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


def parse(table: Table, column: str, form: str | None = None, option: str | None = OPTION) -> Times:
    """Read the times of a column.

    Args:
        table: The table.
        column: Name of the column. It holds dates in ISO 8601 or in another common form, seconds,
            milliseconds, microseconds or nanoseconds since 1970, or other numbers.
        form: The form of the dates as `datetime.strptime` takes it; needed where two forms fit.
        option: The option that gives the form, for messages; None if there is none.

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
    if is_mostly_numbers(cells):
        # Raises the error that names the first text among the numbers.
        numbers_of(table, column)
    return _dates(_parsed(table, cells.astype(str), column, form, option))


def _dates(times: "pd.Series") -> Times:
    pd = pandas()

    utc = pd.to_datetime(times, utc=True).dt.tz_localize(None)
    microseconds = utc.to_numpy().astype("datetime64[us]").astype("int64")
    return Times(microseconds / 1e6, SECONDS, True)


def _numbers(values: np.ndarray) -> Times:
    low, high = np.min(values), np.max(values)
    for scale in _EPOCHS.values():
        if low / scale > _EARLIEST and high / scale < _LATEST:
            return Times(values / scale, SECONDS, True)
    return Times(values.astype("float64"), "", False)


def _parsed(
    table: Table, cells: "pd.Series", column: str, form: str | None, option: str | None
) -> "pd.Series":
    pd = pandas()

    if form is not None:
        return _strict(table, cells, column, form, option)
    if not cells.map(str.isascii).all():
        # pandas reads digits of other scripts too.
        return _strict(table, cells, column, None, option)
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
        advice = f"choose one with {option}" if option else "write them as 2026-01-31"
        raise ValueError(
            f"{table.name}: the dates of column {column!r}, such as {example!r}, can be read as "
            f"{' or '.join(fitting)}; {advice}."
        )
    return _strict(table, cells, column, _likeliest(first, candidates), option)


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


def _strict(
    table: Table, cells: "pd.Series", column: str, form: str | None, option: str | None
) -> "pd.Series":
    """Dates of one form; the error names the first cell that has another."""
    pd = pandas()

    if form is None:
        plain = cells.where(cells.map(str.isascii))
        parsed: Any = pd.to_datetime(plain, format="ISO8601", errors="coerce", utc=True)
    else:
        parsed = pd.to_datetime(cells, format=form, errors="coerce")
    wrong = np.flatnonzero(parsed.isna())
    if not len(wrong):
        return parsed
    others = f" Other forms: {option}." if option else ""
    expected = f"of the form {form}" if form else "a time such as 2026-01-31 14:05:00"
    raise ValueError(
        f"{table.name}, {table.place(wrong[0])}: column {column!r} holds "
        f"{str(cells.iloc[wrong[0]])[:40]!r}, not {expected}.{others}"
    )
