"""Elapsed time: from time stamps, into and out of a feature, and onto a state.

Elapsed time is the time between a step and the one before it, in the unit in
which a cell's `tau` is counted.
"""

import math

import numpy as np
from keras import KerasTensor, ops

LAST_FEATURE = "last_feature"


def validate(elapsed):
    """Return a cell's `elapsed` argument, checked: a number or "last_feature".

    Raises:
        ValueError: It is neither a finite number of at least 0 nor "last_feature".
    """
    if isinstance(elapsed, str) and elapsed == LAST_FEATURE:
        return elapsed
    is_number = isinstance(elapsed, (int, float)) and not isinstance(elapsed, bool)
    if is_number and math.isfinite(elapsed) and elapsed >= 0:
        return float(elapsed)
    raise ValueError(
        f"`elapsed` must be a finite number of at least 0 or {LAST_FEATURE!r}; "
        f"received {elapsed!r}."
    )


def require_valid(elapsed) -> None:
    """Check elapsed times that are at hand as numbers; symbolic ones pass.

    Raises:
        ValueError: One is negative or not finite.
    """
    if isinstance(elapsed, KerasTensor):
        return
    try:
        values = ops.convert_to_numpy(elapsed)
    # What TensorFlow and torch, and JAX, say of a tensor that has no numbers yet.
    except (NotImplementedError, TypeError):
        return
    bad = values[~(np.isfinite(values) & (values >= 0))]
    if bad.size:
        raise ValueError(
            f"`elapsed` must be finite and at least 0; received {bad.size} other values, "
            f"{bad.flat[0]} among them."
        )


def from_timestamps(timestamps, first: float = 0.0) -> np.ndarray:
    """Turn time stamps into elapsed times.

        elapsed[..., 0] = first;  elapsed[..., t] = timestamps[..., t] - timestamps[..., t - 1]

    Args:
        timestamps: Array (..., time), not decreasing along its last axis.
        first: Elapsed time of the first step, which has no predecessor.

    Raises:
        ValueError: A time stamp is not finite or smaller than its predecessor.
    """
    timestamps = np.asarray(timestamps)
    if not np.all(np.isfinite(timestamps)):
        raise ValueError("`timestamps` must be finite; received NaN or infinity.")
    # Subtract before rounding to float32: epoch seconds do not fit into it.
    steps = np.diff(timestamps, axis=-1)
    if np.any(steps < 0):
        where = tuple(int(i) for i in np.argwhere(steps < 0)[0])
        raise ValueError(
            "`timestamps` must not decrease along the last axis; "
            f"they fall by {-steps[where]:g} after index {where}."
        )
    start = np.full((*timestamps.shape[:-1], 1), first)
    return np.concatenate([start, steps], axis=-1).astype("float32")


def append(features, elapsed):
    """Put elapsed time behind the features, for `elapsed="last_feature"`.

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
            "`elapsed` must have shape (batch, time) or (batch, time, 1) beside features of shape "
            f"{tuple(features.shape)}; received shape {tuple(elapsed.shape)}."
        )
    return ops.concatenate([features, ops.cast(elapsed, features.dtype)], axis=-1)


def split(inputs):
    """Undo `append`: the features, and the last one alone with shape (..., 1)."""
    return inputs[..., :-1], inputs[..., -1:]
