"""The columns of a new table: which ones a model reads, from the names that the user gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.argument_checks import require_choice
from zoo.readers import time_column
from zoo.readers.number_column import is_mostly_numbers, kind_of, numbers_of
from zoo.readers.table import Table
from zoo.tables import row_order, sequences
from zoo.tables.columns import (
    MAX_CLASSES,
    Columns,
    features_of,
    require_columns,
    shown_names,
    unit_of,
)

# Times that differ by less from the median one count as equal.
REGULAR = 0.01
# Longer times count as this many usual ones. The range of an integer file covers the longest one.
LONGEST = 4.0


@dataclass(frozen=True)
class TableOptions:
    """The meaning of a table's columns, as the user states it; see `zoo.fit`."""

    targets: tuple[str, ...] = ()
    label: str | None = None
    time: str | None = None
    group: str | None = None
    horizon: int = 0
    ignore: tuple[str, ...] = ()
    time_format: str | None = None
    duplicates: str = "refuse"
    sort: bool = False

    def __post_init__(self) -> None:
        if bool(self.targets) == (self.label is not None):
            raise ValueError(
                "Give the column to predict: --target (target) for a number, or --label (label) "
                "for a class; not both."
            )
        if isinstance(self.horizon, bool) or not isinstance(self.horizon, int) or self.horizon < 0:
            raise ValueError(
                f"`horizon` must be an integer of at least 0, a number of rows; received "
                f"{self.horizon!r}."
            )
        require_choice("duplicates", self.duplicates, row_order.DUPLICATES)

    @property
    def predicted(self) -> tuple[str, ...]:
        """The columns that are predicted."""
        return self.targets or (str(self.label),)


def columns_of(table: Table, options: TableOptions) -> tuple[Columns, list[str]]:
    """Decide which columns of a table a model reads.

    Returns:
        The columns, and notes about columns that are left out.

    Raises:
        ValueError: There is no such column, a target is constant or no number, there is nothing to
            read, or the times are not in order.
    """
    _require_distinct(options)
    named = [*options.predicted, options.time, options.group]
    require_columns(table, [name for name in named if name is not None])
    require_columns(table, options.ignore, ", which is to be ignored")
    classes: tuple[str, ...] = ()
    if options.label is not None:
        classes = _classes(table, options.label)
    for target in options.targets:
        _require_varying(table, target)
    left_out = {name for name in (options.time, options.group, options.label) if name}
    left_out |= {*options.ignore, *(() if options.horizon else options.targets)}
    numbers, categories, notes = features_of(table, left_out)
    if not numbers and not categories:
        hint = " A forecast reads it: use --horizon 1 or more (horizon)." if options.targets else ""
        raise ValueError(
            f"{table.name} has no column that could predict {shown_names(options.predicted)}.{hint}"
        )
    columns = Columns(
        targets=options.predicted,
        classes=classes,
        per_group=_has_class_per_group(table, options),
        numbers=numbers,
        categories=categories,
        time=options.time,
        time_format=options.time_format,
        duplicates=options.duplicates,
        group=options.group,
        horizon=options.horizon,
        has_gaps=any(np.isnan(numbers_of(table, name)).any() for name in numbers),
        units={str(n): unit_of(str(n)) for n in table.frame.columns if unit_of(str(n))},
        **_times(table, options),
    )
    return columns, notes


def _require_distinct(options: TableOptions) -> None:
    named = [*options.predicted, options.time, options.group, *options.ignore]
    twice = [name for name in named if name is not None and named.count(name) > 1]
    if twice:
        raise ValueError(f"Column {twice[0]!r} has two meanings; give each column one.")


def _classes(table: Table, label: str) -> tuple[str, ...]:
    cells = table.frame[label].dropna()
    found = sorted({str(sequences.class_text(cell)) for cell in cells})
    if kind_of(cells) == "number" and all(text.lstrip("-").isdigit() for text in found):
        found.sort(key=int)
    if len(found) < 2:
        raise ValueError(
            f"Column {label!r} of {table.name} holds {len(found)} classes; at least 2 are needed."
        )
    if len(found) > MAX_CLASSES:
        raise ValueError(
            f"Column {label!r} of {table.name} holds {len(found):,} different values; at most "
            f"{MAX_CLASSES} classes are allowed. Is it a number? Use --target (target)."
        )
    return tuple(found)


def _require_varying(table: Table, target: str) -> None:
    cells = table.frame[target].dropna()
    if kind_of(cells) == "text" and not is_mostly_numbers(cells):
        texts = cells.nunique()
        if texts <= MAX_CLASSES:
            raise ValueError(
                f"Column {target!r} of {table.name} holds text with {texts} different values; "
                "use --label (label) for classes."
            )
    values = numbers_of(table, target)
    values = values[~np.isnan(values)]
    if not len(values) or np.ptp(values) == 0:
        held = f"{values[0]:g} in all rows" if len(values) else "no value"
        raise ValueError(
            f"Column {target!r} of {table.name} is constant: it holds {held}. There is nothing to "
            "predict."
        )


def _has_class_per_group(table: Table, options: TableOptions) -> bool:
    if options.label is None or options.group is None or options.horizon:
        return False
    each = table.frame.dropna(subset=[options.label]).groupby(options.group)[options.label]
    return bool((each.nunique() <= 1).all())


def _times(table: Table, options: TableOptions) -> dict[str, Any]:
    """The fields of `Columns` that describe times."""
    if options.time is None:
        return {}
    times = time_column.parse(table, options.time, options.time_format)
    groups, _ = sequences.group_numbers(table, options.group)
    order = row_order.in_order(table, times, groups, options.duplicates, options.sort)
    same = groups[order][1:] == groups[order][:-1]
    gaps = np.diff(times.values[order])[same]
    positive = gaps[gaps > 0]
    if not len(positive):
        raise ValueError(f"{table.name} has no two rows with different times in {options.time!r}.")
    interval = float(np.median(positive))
    is_regular = bool((np.abs(gaps - interval) <= REGULAR * interval).all())
    longest = None if is_regular else float(min(gaps.max(), LONGEST * interval))
    return {"time_unit": times.unit, "interval": interval, "longest": longest}


def require_lengths(
    table: Table, found: Sequence[sequences.TableSequence], columns: Columns
) -> None:
    """Check that each group has rows enough to predict one.

    Raises:
        ValueError: A group has too few rows.
    """
    least = 2 + columns.horizon
    short = [sequence for sequence in found if len(sequence) < least]
    if short:
        where = f"group {short[0].group!r}" if columns.group else "the table"
        raise ValueError(
            f"{table.name}: {where}, from {table.place(int(short[0].rows[0]))}, has "
            f"{len(short[0])} row{'s' * (len(short[0]) > 1)}; at least {least} are needed."
            + (f" {len(short)} groups are that short." if len(short) > 1 else "")
        )
