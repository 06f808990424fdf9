"""Sequences: the rows of a table as arrays for a model, one sequence per group."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.readers import time_column
from zoo.readers.number_column import numbers_of
from zoo.readers.table import Table, pandas
from zoo.tables import columns as columns_of_table
from zoo.tables import row_order
from zoo.tables.columns import Columns
from zoo.training.arrays import NamedInputs

ROW, OBSERVED, ELAPSED = "row", "observed", "elapsed"


@dataclass(frozen=True)
class TableSequence:
    """Consecutive rows of one group of a table.

    Attributes:
        rows: Positions of the rows in the table.
        group: The value of the group column; None without one.
        inputs: Array (rows, ...) by the name of the model's input.
        targets: Float32 (rows, targets), NaN where there is none; or int32 (rows,), the indices of
            classes, -1 where there is none.
    """

    rows: np.ndarray
    group: object
    inputs: NamedInputs
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, rows: slice) -> "TableSequence":
        """Some consecutive rows as a sequence."""
        inputs = {name: array[rows] for name, array in self.inputs.items()}
        return TableSequence(self.rows[rows], self.group, inputs, self.targets[rows].copy())


def no_target(targets: np.ndarray) -> float:
    """The value that stands for no target: -1 among classes, NaN among numbers."""
    return -1 if targets.dtype.kind == "i" else np.nan


def has_target(targets: np.ndarray) -> np.ndarray:
    """Which rows have a target: booleans (..., rows)."""
    return np.asarray(targets >= 0 if targets.dtype.kind == "i" else ~np.isnan(targets).any(-1))


def group_numbers(table: Table, group: str | None) -> tuple[np.ndarray, list[object]]:
    """The group of each row as a number, and the values of the groups in order of appearance.

    Raises:
        ValueError: A cell of the column is blank.
    """
    pd = pandas()

    if group is None:
        return np.zeros(len(table.frame), "int64"), [None]
    cells = table.frame[group]
    blank = np.flatnonzero(cells.isna())
    if len(blank):
        raise ValueError(
            f"{table.name}, {table.place(blank[0])}: the group column {group!r} is blank."
        )
    numbers, values = pd.factorize(cells)
    return numbers, list(values)


def read(
    table: Table, columns: Columns, sort: bool = False
) -> tuple[list[TableSequence], list[str]]:
    """Turn a table into sequences.

    Args:
        table: The table.
        columns: Its columns.
        sort: Whether to sort the rows of each group by time.

    Returns:
        The sequences, and notes about values that the model does not know.

    Raises:
        ValueError: A column is missing or holds values that the model cannot read; or the rows are
            not in order.
    """
    columns_of_table.require_columns(table, columns.required, ", which the model reads")
    groups, names = group_numbers(table, columns.group)
    order = np.argsort(groups, kind="stable")
    elapsed = None
    notes: list[str] = []
    if columns.time is not None:
        times = time_column.parse(table, columns.time, columns.time_format)
        order = row_order.in_order(table, times, groups, columns.duplicates, sort)
        elapsed = _elapsed(times.values[order], groups[order], columns, notes)
    inputs = _inputs(table, columns, order, groups[order], notes)
    if columns.longest is not None and elapsed is not None:
        inputs[ELAPSED] = elapsed
    targets = _targets(table, columns, order)
    bounds = [0, *(np.flatnonzero(np.diff(groups[order])) + 1), len(order)]
    # Slices, which need no copy of the rows.
    sequences = [
        TableSequence(
            order[rows],
            names[groups[order[rows.start]]],
            {name: array[rows] for name, array in inputs.items()},
            _ahead(targets[rows], columns.horizon),
        )
        for rows in itertools.starmap(slice, itertools.pairwise(bounds))
    ]
    return sequences, notes


def stacked(sequences: Sequence[TableSequence]) -> tuple[NamedInputs, np.ndarray]:
    """Sequences as arrays (sequences, rows, ...); shorter ones are padded with rows at the end.

    A padded row repeats the last one, and has no target.
    """
    longest = max(map(len, sequences))
    inputs = {
        name: np.stack([_padded(s.inputs[name], longest, None) for s in sequences])
        for name in sequences[0].inputs
    }
    nothing = no_target(sequences[0].targets)
    return inputs, np.stack([_padded(s.targets, longest, nothing) for s in sequences])


def _padded(array: np.ndarray, rows: int, value: float | None) -> np.ndarray:
    missing = rows - len(array)
    if not missing:
        return array
    row = array[-1:] if value is None else np.full_like(array[:1], value)
    return np.concatenate([array, np.repeat(row, missing, axis=0)])


def _inputs(
    table: Table, columns: Columns, order: np.ndarray, groups: np.ndarray, notes: list[str]
) -> NamedInputs:
    # Column by column: large tables would need several times their memory otherwise.
    row = np.empty((len(order), len(columns.features)), "float32")
    observed = np.empty((len(order), len(columns.numbers) if columns.has_gaps else 0), "float32")
    missing = 0
    for place, name in enumerate(columns.numbers):
        values = numbers_of(table, name)[order]
        is_observed = ~np.isnan(values)
        missing += int((~is_observed).sum())
        if columns.limits:
            np.clip(values, *columns.limits[name], out=values)
        row[:, place] = _filled(values, is_observed, groups)
        if columns.has_gaps:
            observed[:, place] = is_observed
    if missing and not columns.has_gaps:
        notes.append(
            f"{missing:,} numbers are missing, as none were in the table that the model was fitted "
            "to; the last value before each is used."
        )
    place = len(columns.numbers)
    for name, texts in columns.categories.items():
        row[:, place : place + len(texts)] = _one_hot(table, name, texts, order, notes)
        place += len(texts)
    return {ROW: row, OBSERVED: observed} if columns.has_gaps else {ROW: row}


def _filled(values: np.ndarray, observed: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Missing values replaced by the last one of the group, else by the first, else by 0."""
    pd = pandas()

    if observed.all():
        return values
    grouped = pd.Series(values).groupby(groups)
    return grouped.ffill().fillna(grouped.bfill()).fillna(0.0).to_numpy()


def _one_hot(
    table: Table, name: str, texts: Sequence[str], order: np.ndarray, notes: list[str]
) -> np.ndarray:
    cells = table.frame[name].iloc[order]
    known = cells.astype(str).to_numpy()[:, None] == np.array(texts, dtype=object)
    unknown = cells.notna().to_numpy() & ~known.any(axis=1)
    if unknown.any():
        row = int(order[np.flatnonzero(unknown)[0]])
        notes.append(
            f"{table.place(row)}: column {name!r} holds {str(table.frame[name].iloc[row])[:40]!r}, "
            f"which the model does not know; {int(unknown.sum()):,} such cells count as blank."
        )
    return known


def _elapsed(
    times: np.ndarray, groups: np.ndarray, columns: Columns, notes: list[str]
) -> np.ndarray:
    """The time since the row before; for the first row of a group, the usual interval."""
    interval = columns.interval or 0.0
    gaps = np.append(interval, np.diff(times))
    gaps[np.append(True, np.diff(groups) != 0)] = interval
    if columns.longest is not None:
        return np.minimum(gaps, columns.longest).astype("float32")
    other = np.abs(gaps - interval) > 0.01 * interval
    if other.any():
        notes.append(
            f"{int(other.sum()):,} rows do not follow the one before after {interval:g} "
            f"{columns.time_unit or 'units of time'}, as in the table that the model was fitted "
            "to; each row counts as one step."
        )
    return gaps.astype("float32")


def _targets(table: Table, columns: Columns, order: np.ndarray) -> np.ndarray:
    """The targets of the rows, without any if the table has no such columns."""
    has = all(name in table.frame.columns for name in columns.targets)
    if columns.classes:
        if not has:
            return np.full(len(order), -1, "int32")
        index = {text: number for number, text in enumerate(columns.classes)}
        cells = table.frame[columns.targets[0]].iloc[order]
        return np.array([index.get(class_text(cell) or "", -1) for cell in cells], "int32")
    if not has:
        return np.full((len(order), len(columns.targets)), np.nan, "float32")
    values = [numbers_of(table, name)[order] for name in columns.targets]
    return np.stack(values, axis=-1).astype("float32")


def class_text(cell: object) -> str | None:
    """The name of a class; None for a blank cell. Whole numbers have no decimal point."""
    if cell is None or cell != cell:
        return None
    return f"{cell:.0f}" if isinstance(cell, float) and cell.is_integer() else str(cell)


def _ahead(targets: np.ndarray, horizon: int) -> np.ndarray:
    """The targets `horizon` rows later; the last rows have none."""
    if not horizon:
        return targets
    later = np.full_like(targets, no_target(targets))
    later[:-horizon] = targets[horizon:]
    return later
