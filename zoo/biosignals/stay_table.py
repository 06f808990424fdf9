"""A stay in intensive care as a table of the user: columns and validation."""

import numpy as np

from zoo.biosignals.vitals import ICU_TYPES
from zoo.data import physionet2012 as data
from zoo.data.column_kinds import NUMBER, NUMBER_OR_BLANK

HOURS_COLUMN = "hours"
PERSON = data.STATIC[:4]
COLUMNS = {HOURS_COLUMN: NUMBER, **dict.fromkeys((*PERSON, *data.VITALS), NUMBER_OR_BLANK)}


def parse_stay(table: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Convert a table with one row per time.

    Returns:
        Hours since admission, then `VITALS`, NaN if not measured: (times, 1 + 37); and `STATIC`,
        NaN if unknown: (5,).

    Raises:
        ValueError: `hours` do not increase or exceed 48; the age is blank; a gender or a type of
            unit does not exist.
    """
    hours = table[HOURS_COLUMN]
    if not (np.diff(hours) > 0).all():
        row = int(np.argmin(np.diff(hours) > 0))
        raise ValueError(
            f"Column {HOURS_COLUMN!r} must rise from row to row; {hours[row]:g} is followed by "
            f"{hours[row + 1]:g}."
        )
    if hours[0] < 0 or hours[-1] > data.HOURS:
        wrong = hours[0] if hours[0] < 0 else hours[-1]
        raise ValueError(f"Column {HOURS_COLUMN!r} holds {wrong:g}; allowed: 0 to {data.HOURS:g}.")
    static = np.array([_first_value(table[name]) for name in PERSON] + [np.nan])
    for name, allowed in (("Age", None), ("Gender", (0, 1)), ("ICUType", ICU_TYPES)):
        value = static[PERSON.index(name)]
        if name == "Age" and np.isnan(value):
            raise ValueError(f"Column {name!r} is blank in each row; one must hold a number.")
        if allowed and np.isfinite(value) and value not in allowed:
            raise ValueError(
                f"Column {name!r} holds {value:g}; allowed: {', '.join(map(str, allowed))}."
            )
    return np.stack([table[name] for name in (HOURS_COLUMN, *data.VITALS)], axis=1), static


def _first_value(column: np.ndarray) -> float:
    """The first value that is not blank, or NaN."""
    values = column[np.isfinite(column)]
    return values[0] if len(values) else np.nan
