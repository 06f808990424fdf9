"""Columns of numbers in tables."""

from typing import TYPE_CHECKING

import numpy as np

from zoo.readers.table import Table, pandas

if TYPE_CHECKING:
    import pandas as pd

LARGEST = float(np.finfo("float32").max)


def kind_of(cells: "pd.Series") -> str:
    """ "number", "time" or "text"."""
    pd = pandas()

    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return "time"
    return "number" if pd.api.types.is_numeric_dtype(cells.dtype) else "text"


def is_mostly_numbers(cells: "pd.Series") -> bool:
    """Whether at least half of the cells of a column of text are numbers."""
    pd = pandas()

    return len(cells) > 0 and bool(pd.to_numeric(cells, errors="coerce").notna().mean() >= 0.5)


def numbers_of(table: Table, name: str) -> np.ndarray:
    """A column of numbers as float64; missing ones are NaN.

    Raises:
        ValueError: A cell is text, infinite, or exceeds float32.
    """
    cells = table.frame[name]
    if kind_of(cells) != "number":
        pd = pandas()

        wrong = np.flatnonzero(cells.notna() & pd.to_numeric(cells, errors="coerce").isna())
        row = int(wrong[0]) if len(wrong) else 0
        raise ValueError(
            f"{table.name}, {table.place(row)}: column {name!r} holds "
            f"{str(cells.iloc[row])[:40]!r} where numbers were expected; {len(wrong):,} such "
            "cells. Blank cells count as missing."
        )
    values = cells.to_numpy(dtype="float64", na_value=np.nan)
    wrong = np.flatnonzero(np.abs(values) > LARGEST)
    if len(wrong):
        raise ValueError(
            f"{table.name}, {table.place(wrong[0])}: column {name!r} holds {values[wrong[0]]:g}; "
            f"numbers must lie within +-{LARGEST:.3g}."
        )
    return values
