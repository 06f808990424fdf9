"""Elapsed time: the time between a step and the step before it.

Its unit is the unit of the cells' time constants `tau`.
"""

import math
from typing import Any

import numpy as np
from keras import KerasTensor

from lnn_keras.tensors import Tensor, ops

__all__ = ["LAST_FEATURE", "append", "from_timestamps", "require_valid", "split", "validate"]

LAST_FEATURE = "last_feature"


def __dir__() -> list[str]:
    return __all__


def validate(elapsed: float | str) -> float | str:
    """Return a cell's `elapsed` argument if it is valid.

    Raises:
        ValueError: It is neither a finite number of at least 0 nor "last_feature".
    """
    if isinstance(elapsed, str) and elapsed == LAST_FEATURE:
        return elapsed
    is_number = isinstance(elapsed, (int, float)) and not isinstance(elapsed, bool)
    if is_number and math.isfinite(float(elapsed)) and float(elapsed) >= 0:
        return float(elapsed)
    raise ValueError(
        f"`elapsed` must be a finite number of at least 0 or {LAST_FEATURE!r}; "
        f"received {elapsed!r}."
    )


def require_valid(elapsed: Tensor) -> None:
    """Check elapsed times that have concrete values; tensors that are being traced pass.

    Raises:
        ValueError: `elapsed` is not numeric, or a value is negative or not finite.
    """
    values = _concrete_values(elapsed)
    if values is None:
        return
    if values.dtype.kind in "OSUMm":
        raise ValueError(f"`elapsed` must be a number or a numeric tensor; received {elapsed!r}.")
    invalid = values[~(np.isfinite(values) & (values >= 0))]
    if invalid.size:
        raise ValueError(
            f"`elapsed` must be finite and at least 0; received {invalid.size} other values, "
            f"{invalid.flat[0]} among them."
        )


def _concrete_values(elapsed: Any) -> np.ndarray | None:
    """The values as an array, or None for a tensor without values yet."""
    if isinstance(elapsed, KerasTensor):
        return None
    if not hasattr(elapsed, "shape"):
        return np.asarray(elapsed)
    try:
        return np.asarray(ops.convert_to_numpy(elapsed))
    # TensorFlow and torch raise NotImplementedError for a tensor that is being traced, JAX
    # raises a TypeError.
    except (NotImplementedError, TypeError):
        return None


def from_timestamps(timestamps: Any, first: float = 0.0) -> np.ndarray:
    """Convert timestamps to elapsed times.

        elapsed[..., 0] = first;  elapsed[..., t] = timestamps[..., t] - timestamps[..., t - 1]

    Args:
        timestamps: Array (..., time), not decreasing along its last axis.
        first: Elapsed time of the first step, which has no predecessor.

    Returns:
        float32 array of the shape of `timestamps`.

    Raises:
        ValueError: A timestamp is not finite or smaller than its predecessor.
    """
    timestamps = np.asarray(timestamps)
    if not np.all(np.isfinite(timestamps)):
        raise ValueError("`timestamps` must be finite; received NaN or infinity.")
    # Subtract before rounding: float32 cannot resolve seconds since 1970.
    steps = np.diff(timestamps, axis=-1)
    if np.any(steps < 0):
        where = tuple(int(i) for i in np.argwhere(steps < 0)[0])
        raise ValueError(
            "`timestamps` must not decrease along the last axis; "
            f"they fall by {-steps[where]:g} after index {where}."
        )
    start = np.full((*timestamps.shape[:-1], 1), first)
    return np.concatenate([start, steps], axis=-1).astype("float32")


def append(features: Tensor, elapsed: Tensor) -> Tensor:
    """Append elapsed time as the last feature, for cells with `elapsed="last_feature"`.

    Args:
        features: Tensor (batch, time, features).
        elapsed: Tensor (batch, time) or (batch, time, 1).

    Returns:
        Tensor (batch, time, features + 1).

    Raises:
        ValueError: `elapsed` has another rank or a last axis that is not 1.
    """
    rank = len(features.shape)
    if len(elapsed.shape) == rank - 1:
        elapsed = ops.expand_dims(elapsed, -1)
    if len(elapsed.shape) != rank or elapsed.shape[-1] != 1:
        raise ValueError(
            "`elapsed` must have shape (batch, time) or (batch, time, 1) for features of shape "
            f"{tuple(features.shape)}; received shape {tuple(elapsed.shape)}."
        )
    return ops.concatenate([features, ops.cast(elapsed, features.dtype)], axis=-1)


def split(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Undo `append`: the features (..., features) and elapsed time (..., 1)."""
    return inputs[..., :-1], inputs[..., -1:]
