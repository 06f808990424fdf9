"""Timestamps of NumPy, pandas and Python, and the time between them."""

import datetime
from typing import Any

import numpy as np

from lnn_keras.argument_checks import require_choice

# Units of time of NumPy; "m" is the minute.
UNITS = ("W", "D", "h", "m", "s", "ms", "us", "ns")


def timestamp_steps(timestamps: Any, unit: str | None) -> np.ndarray:
    """The time between each timestamp and the one before it.

    Args:
        timestamps: Numbers or dates (..., time).
        unit: Unit of the result for dates, "s" by default; None for numbers.

    Returns:
        float64 array (..., time - 1).

    Raises:
        ValueError: As `lnn_keras.elapsed.from_timestamps`.
    """
    values = _numbers_or_dates(timestamps)
    earlier, later = values[..., :-1], values[..., 1:]
    # Compare before subtracting: unsigned differences wrap around.
    try:
        falls = np.argwhere(later < earlier)
    except TypeError as error:
        raise ValueError(f"`timestamps` cannot be compared: {error}.") from error
    if len(falls):
        where = tuple(int(i) for i in falls[0])
        raise ValueError(
            "`timestamps` must not decrease along the last axis; they fall from "
            f"{earlier[where]} to {later[where]} after index {where}."
        )
    return _differences(earlier, later, unit)


def _numbers_or_dates(timestamps: Any) -> np.ndarray:
    """Timestamps as an array of 64-bit numbers, of NumPy's dates, or of Python's or pandas'."""
    values = np.asarray(timestamps)
    if values.ndim == 0:
        raise ValueError(f"`timestamps` must have a time axis; received {timestamps!r}.")
    kind = values.dtype.kind
    if kind in "iu":
        return values.astype(f"{kind}8")
    if kind == "f":
        values = values.astype("float64")
        if not np.isfinite(values).all():
            raise ValueError("`timestamps` must be finite; received NaN or infinity.")
        return values
    missing = f"`timestamps` must be finite; received a missing value among {values.size}."
    if kind in "mM":
        if np.isnat(values).any():
            raise ValueError(missing)
        return values
    dates = kind == "O" and all(isinstance(value, datetime.date) for value in values.flat)
    # A missing date of pandas, NaT, is the only date that differs from itself.
    if dates and any(value != value for value in values.flat):
        raise ValueError(missing)
    if not dates:
        raise ValueError(
            f"`timestamps` must be numbers or dates; received values of type {values.dtype}, "
            f"{next(iter(values.flat), None)!r} among them."
        )
    return values


def _differences(earlier: np.ndarray, later: np.ndarray, unit: str | None) -> np.ndarray:
    """later - earlier as float64; of dates in `unit`."""
    kind = earlier.dtype.kind
    if kind in "iuf":
        if unit is not None:
            raise ValueError(f"`unit` is for dates, and numbers keep theirs; received {unit!r}.")
        if kind == "f":
            return later - earlier
        # The difference of two int64 may exceed int64, but not uint64.
        return (later.astype("uint64") - earlier.astype("uint64")).astype("float64")
    size = np.timedelta64(1, require_choice("unit", "s" if unit is None else unit, UNITS))
    if kind in "mM":
        return (later - earlier) / size
    seconds = [difference.total_seconds() for difference in (later - earlier).flat]
    return np.reshape(seconds, earlier.shape) * (np.timedelta64(1, "s") / size)
