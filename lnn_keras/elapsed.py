"""Elapsed time: the time between a step and the step before it.

Its unit is the unit of the cells' time constants `tau`.

Elapsed times below 0, infinite or NaN are refused. Where their values are known, this is a
ValueError. In a compiled graph it cannot be, since XLA drops assertions: there an invalid time
counts as 0, which leaves the state of a differential equation unchanged, and the output of the
step is NaN. `LiquidRNN` returns NaN for the later steps of the call too.
"""

import contextlib
import contextvars
import math
import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np

from lnn_keras.tensors import Tensor, concrete_values, ops
from lnn_keras.timestamps import timestamp_steps

__all__ = [
    "LAST_FEATURE",
    "LONGEST",
    "append",
    "are_appended",
    "backwards",
    "from_timestamps",
    "in_device_file",
    "refuse_invalid",
    "require_valid",
    "split",
    "validate",
    "with_appended",
    "without_checks",
]

LAST_FEATURE = "last_feature"
# Longer times count as this one. States have reached their limits by then, and products and
# squares in a step and its gradient are finite float32 numbers.
LONGEST = 1e15

_device_file = contextvars.ContextVar("device_file", default=False)
_appended = contextvars.ContextVar("appended", default=False)


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
    values = concrete_values(elapsed)
    if values is None:
        return
    if values.dtype.kind in "OSUMm":
        raise ValueError(f"`elapsed` must be a number or a numeric tensor; received {elapsed!r}.")
    invalid = values[~(np.isfinite(values) & (values >= 0))]
    if invalid.size:
        hint = (
            " In float16, times above 65,504 become infinite: use LiquidRNN, or "
            "keras.layers.RNN(cell, dtype='float32')."
        )
        raise ValueError(
            f"`elapsed` must be finite and at least 0; received {invalid.size} other values, "
            f"{invalid.flat[0]} among them.{hint if np.isinf(invalid).any() else ''}"
        )


def from_timestamps(timestamps: Any, first: float = 0.0, unit: str | None = None) -> np.ndarray:
    """Convert timestamps to elapsed times.

        elapsed[..., 0] = first;  elapsed[..., t] = timestamps[..., t] - timestamps[..., t - 1]

    Args:
        timestamps: Numbers or dates (..., time), not decreasing along the last axis. Dates are
            those of NumPy, pandas or Python.
        first: Elapsed time of the first step, which has no predecessor.
        unit: Unit of the result for dates: "W", "D", "h", "m" (minutes), "s", "ms", "us" or
            "ns"; by default "s". Numbers keep their unit.

    Returns:
        float32 array of the shape of `timestamps`.

    Raises:
        ValueError: `timestamps` are neither numbers nor dates, have no time axis, or one of them
            is not finite, missing, or smaller than its predecessor; `first` is not a finite number
            of at least 0; unknown `unit`, or a `unit` for numbers.

    Example:

    ```python
    elapsed = lnn_keras.elapsed.from_timestamps(frame["time"], unit="h")
    ```
    """
    if not (isinstance(first, numbers.Real) and math.isfinite(first) and first >= 0):
        raise ValueError(f"`first` must be a finite number of at least 0; received {first!r}.")
    steps = timestamp_steps(timestamps, unit)
    shape = np.shape(timestamps)
    start = np.full((*shape[:-1], min(1, shape[-1])), float(first))
    with np.errstate(over="ignore"):
        elapsed = np.concatenate([start, steps], axis=-1).astype("float32")
    if not np.isfinite(elapsed).all():
        raise ValueError(
            "Differences of `timestamps` must be below 3.4e38, the largest float32 number; "
            f"received {steps.max():g}."
        )
    return elapsed


def refuse_invalid(elapsed: float | Tensor, dtype: str) -> tuple[float | Tensor, Tensor | None]:
    """Replace elapsed times that no step can take, in graphs too.

    Args:
        elapsed: A number, or a tensor (..., 1), after `require_valid`.
        dtype: The dtype of the result, of at least 32 bits.

    Returns:
        Elapsed times with 0 in the place of invalid ones and `LONGEST` in the place of longer
        ones; and booleans that are true where a time was valid, or None if all are.
    """
    if not hasattr(elapsed, "shape"):
        return min(float(elapsed), LONGEST), None
    is_known = concrete_values(elapsed) is not None
    elapsed = ops.cast(elapsed, dtype)
    if in_device_file():
        return elapsed, None
    limited = ops.minimum(elapsed, LONGEST)
    if is_known:
        return limited, None
    valid = ops.logical_and(elapsed >= 0, elapsed < float("inf"))
    return ops.where(valid, limited, 0.0), valid


@contextlib.contextmanager
def without_checks() -> Iterator[None]:
    """A context in which cells check no values, for graphs that become files for devices.

    Kernels of small devices lack the operations. The program that runs the file checks instead.
    """
    token = _device_file.set(True)
    try:
        yield
    finally:
        _device_file.reset(token)


def in_device_file() -> bool:
    """Whether the context `without_checks` is active."""
    return _device_file.get()


def backwards(elapsed: Tensor, mask: Tensor | None = None) -> Tensor:
    """The elapsed times of a series that is read from its last step to its first.

    An elapsed time belongs to the gap between two steps. Forwards, a step takes the gap before
    it; backwards, it takes the gap behind it:

        backwards[:, t] = elapsed[:, t + 1];  backwards[:, -1] = elapsed[:, 0]

    No gap precedes the first step of a series. The last one, which is read first, takes the
    elapsed time that stood there. Steps that are masked count as absent.

    Args:
        elapsed: Tensor (batch, time, 1).
        mask: Booleans, or 1 and 0 (batch, time, 1), true where a step is valid; or None.

    Returns:
        Tensor (batch, time, 1), in the order of `elapsed`.

    Example:

    ```python
    dt = lnn_keras.elapsed.backwards(dt)
    outputs = keras.layers.RNN(cell, go_backwards=True)(keras.ops.concatenate([x, dt], -1))
    ```
    """
    if mask is None:
        return ops.concatenate([elapsed[:, 1:], elapsed[:, :1]], axis=1)
    valid = ops.cast(mask, "int32")
    length = ops.shape(elapsed)[1]
    # Valid steps first, each group in its order.
    position = ops.cumsum(ops.ones_like(valid), axis=1) - 1
    order = ops.argsort(position + (1 - valid) * length, axis=1)
    compact = ops.take_along_axis(elapsed, order, axis=1)
    following = ops.cumsum(valid, axis=1)
    count = ops.sum(valid, axis=1, keepdims=True)
    following = ops.where(following < count, following, 0)
    return ops.take_along_axis(compact, following, axis=1)


def append(features: Tensor, elapsed: Tensor | float) -> Tensor:
    """Append elapsed time as the last feature, for cells with `elapsed="last_feature"`.

    Args:
        features: Tensor (batch, time, features).
        elapsed: Tensor (batch, time) or (batch, time, 1), or one number for all steps.

    Returns:
        Tensor (batch, time, features + 1).

    Raises:
        ValueError: `elapsed` has another shape, or is a number that is negative or not finite.
    """
    times: Tensor = elapsed
    if not hasattr(elapsed, "shape"):
        times = ops.full_like(features[..., :1], validate(elapsed))
    rank = len(features.shape)
    if len(times.shape) == rank - 1:
        times = ops.expand_dims(times, -1)
    pairs = zip(times.shape[:-1], features.shape[:-1], strict=False)
    fits = all(None in pair or pair[0] == pair[1] for pair in pairs)
    if len(times.shape) != rank or times.shape[-1] != 1 or not fits:
        raise ValueError(
            "`elapsed` must have shape (batch, time) or (batch, time, 1) for features of shape "
            f"{tuple(features.shape)}; received shape {tuple(times.shape)}."
        )
    return ops.concatenate([features, ops.cast(times, features.dtype)], axis=-1)


@contextlib.contextmanager
def with_appended() -> Iterator[None]:
    """A context in which each `LiquidRNN` takes the last feature of its inputs as elapsed time.

    For wrappers of layers that pass one tensor on, such as `keras.layers.Bidirectional`.
    """
    token = _appended.set(True)
    try:
        yield
    finally:
        _appended.reset(token)


def are_appended() -> bool:
    """Whether the context `with_appended` is active."""
    return _appended.get()


def split(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Undo `append`: the features (..., features) and elapsed time (..., 1)."""
    return inputs[..., :-1], inputs[..., -1:]
