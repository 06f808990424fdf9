"""Columns: which columns of a table a model reads and predicts, as data that a preset stores."""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.readers.files import FileError
from zoo.readers.number_column import is_mostly_numbers, kind_of, numbers_of
from zoo.readers.table import Table

# A text column with more different texts tells rows apart rather than kinds of rows.
MAX_CATEGORIES = 32
MAX_CLASSES = 100
_UNIT = re.compile(r".*[\[(]([^\[\]()]{1,20})[\])]\s*")
_SHOWN = 12


@dataclass(frozen=True)
class Columns:
    """The columns of a table, and their meaning for a model.

    Attributes:
        targets: The columns that are predicted: numbers, or one column of classes.
        classes: The texts of the target that are classes; empty for numbers.
        per_group: Whether all rows of a group have one class, so that a group gets one prediction.
        numbers: Columns of numbers that the model reads.
        categories: Columns of texts that the model reads, with the texts that it knows.
        time: The column of times, or None.
        time_format: The form of its dates, if it was given.
        duplicates: Which rows of one time are used: "refuse", "keep", "first" or "last".
        group: The column that tells recordings apart, or None.
        horizon: How many rows after a row its target is; 0 for the row itself.
        time_unit: "s" for dates, otherwise "".
        interval: Median time from a row to the next one; None without times.
        longest: Longer times count as this one; None if all times are equal, so that the model
            needs none.
        limits: The smallest and the largest value of each column of numbers; values beyond them
            count as these, as an integer file counts them.
        has_gaps: Whether numbers were missing, so that the model knows how to go on without them.
        units: Units of columns, from their names, as in "temperature [K]".
    """

    targets: tuple[str, ...]
    classes: tuple[str, ...] = ()
    per_group: bool = False
    numbers: tuple[str, ...] = ()
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    time: str | None = None
    time_format: str | None = None
    duplicates: str = "refuse"
    group: str | None = None
    horizon: int = 0
    time_unit: str = ""
    interval: float | None = None
    longest: float | None = None
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    has_gaps: bool = False
    units: dict[str, str] = field(default_factory=dict)

    @property
    def features(self) -> tuple[str, ...]:
        """The values of a row that the model reads, in its order: numbers, then "column = text"."""
        known = [f"{name} = {text}" for name, texts in self.categories.items() for text in texts]
        return (*self.numbers, *known)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the model's outputs: columns, or classes."""
        return self.classes or self.targets

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that a table needs for predictions."""
        others = [name for name in (self.time, self.group) if name is not None]
        return (*self.numbers, *self.categories, *others)

    def config(self) -> dict[str, Any]:
        """The columns as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Any, where: str) -> "Columns":
        """The columns of a preset.

        Raises:
            FileError: The config does not describe columns.
        """
        try:
            fields = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in config.items()
            }
            categories = {name: tuple(texts) for name, texts in config["categories"].items()}
            limits = {name: (float(a), float(b)) for name, (a, b) in config["limits"].items()}
            columns = cls(**{**fields, "categories": categories, "limits": limits})
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise FileError(f"{where} describes no columns of a table: {error}.") from error
        named = [*columns.targets, *columns.classes, *columns.features]
        if not columns.targets or not all(isinstance(name, str) for name in named):
            raise FileError(f"{where} describes no columns of a table.")
        return columns


def require_columns(table: Table, names: Iterable[str], purpose: str = "") -> None:
    """Check that a table has columns.

    Raises:
        ValueError: One is missing. The message names the most similar columns.
    """
    have = [str(name) for name in table.frame.columns]
    missing = [name for name in names if name not in have]
    if not missing:
        return
    lowered = {name.lower(): name for name in have}
    close = difflib.get_close_matches(missing[0].lower(), list(lowered), n=1, cutoff=0.6)
    hint = f" Did you mean {lowered[close[0]]!r}?" if close else ""
    raise ValueError(
        f"{table.name} has no column {shown_names(missing, _SHOWN)}{purpose}.{hint} "
        f"It has: {', '.join(have[:_SHOWN])}{' ...' if len(have) > _SHOWN else ''}."
    )


def shown_names(names: Sequence[str], most: int = 5) -> str:
    """Names for a message, the first few of them."""
    listed = ", ".join(repr(str(name)[:60]) for name in names[:most])
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed


def unit_of(name: str) -> str:
    """The unit in the name of a column, as in "temperature [K]"; "" if there is none."""
    match = _UNIT.fullmatch(name)
    return match[1].strip() if match else ""


def features_of(
    table: Table, left_out: Iterable[str]
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]], list[str]]:
    """The columns of a table that a model can read.

    Args:
        table: The table.
        left_out: Columns that are no features.

    Returns:
        Columns of numbers; columns of texts with their texts; and notes about columns that are
        left out.

    Raises:
        ValueError: A column of numbers holds text.
    """
    numbers, categories, notes = [], {}, []
    for name in [str(n) for n in table.frame.columns if str(n) not in set(left_out)]:
        cells = table.frame[name].dropna()
        kind = kind_of(cells)
        if kind == "text" and is_mostly_numbers(cells):
            # Raises the error that names the first text among the numbers.
            numbers_of(table, name)
        texts = sorted(set(map(str, cells))) if kind == "text" else []
        if cells.nunique() < 2:
            notes.append(f"Column {name!r} has one value; it is left out.")
        elif kind == "number":
            numbers.append(name)
        elif kind == "text" and len(texts) <= MAX_CATEGORIES:
            categories[name] = tuple(texts)
        elif kind == "text":
            notes.append(
                f"Column {name!r} has {len(texts):,} different texts, such as {texts[0][:30]!r}; "
                f"a category has at most {MAX_CATEGORIES}, so it is left out."
            )
        else:
            notes.append(f"Column {name!r} holds times; it is left out. See --time (time).")
    return tuple(numbers), categories, notes
