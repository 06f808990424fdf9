"""Arguments of figures as arrays: recordings, samples of batches, times and names."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np


def as_floats(argument: str, values: Any) -> np.ndarray:
    """An array, a tensor or a sequence of numbers as float64; infinite values become NaN.

    Raises:
        ValueError: It does not hold numbers, or holds none.
    """
    if keras.ops.is_tensor(values) or isinstance(values, keras.Variable):
        values = keras.ops.convert_to_numpy(keras.ops.cast(values, "float32"))
    try:
        array = np.asarray(values)
        if np.iscomplexobj(array):
            raise TypeError
        array = array.astype("float64")
    except (TypeError, ValueError):
        raise ValueError(
            f"`{argument}` must be an array of real numbers; received {_described(values)}."
        ) from None
    if not array.size:
        raise ValueError(
            f"`{argument}` must hold at least one value; received the shape {array.shape}."
        )
    return np.where(np.isfinite(array), array, np.nan)


def one_sample(argument: str, values: Any, sample: int, axes: str = "time, features") -> np.ndarray:
    """One sample of an array: (batch, time, x) or (time, x) -> (time, x).

    Args:
        argument: The name of the argument, for messages.
        values: The array.
        sample: Which sample of the batch.
        axes: The names of the last two axes, for messages.

    Raises:
        ValueError: Another shape, or a sample that is not in the batch.
    """
    array = as_floats(argument, values)
    if array.ndim not in (2, 3):
        raise ValueError(
            f"`{argument}` must have the shape ({axes}) or (batch, {axes}); received {array.shape}."
        )
    batch = array if array.ndim == 3 else array[None]
    return batch[_checked_index("sample", sample, len(batch), f"`{argument}` holds", "sample")]


def of_recording(recording: Any, name: str) -> Any:
    """The array of this name in a recording of a layer; an array is returned as it is.

    Args:
        recording: An array, a mapping from names to arrays, or a mapping from layers to such.
        name: The name of the array.

    Raises:
        ValueError: The mapping lacks the name, or holds several layers.
    """
    if not isinstance(recording, Mapping):
        return recording
    if recording and all(isinstance(layer, Mapping) for layer in recording.values()):
        if len(recording) > 1:
            first = next(iter(recording))
            raise ValueError(
                f"The recording holds {len(recording)} layers: {_listed(recording)}. Give one of "
                f"them, for example recording[{first!r}]."
            )
        recording = next(iter(recording.values()))
    if name not in recording:
        raise ValueError(
            f"The recording of this layer has no {name!r}; it holds {_listed(recording)}."
        )
    return recording[name]


def elapsed_of(recording: Any, elapsed: Any) -> Any:
    """The elapsed times that were given, or else those of a recording if it has any."""
    if elapsed is not None or not isinstance(recording, Mapping):
        return elapsed
    layers = [layer for layer in recording.values() if isinstance(layer, Mapping)]
    recording = layers[0] if len(layers) == 1 else recording
    found = recording.get("elapsed")
    # Time that never moves on orders no steps.
    return found if found is not None and np.nansum(found) > 0 else None


def times(elapsed: Any, steps: int, sample: int, unit: str | None = None) -> tuple[np.ndarray, str]:
    """The time of each step, and the label of its axis.

    Args:
        elapsed: Time between each step and the step before it, (time,) or (batch, time), NaN
            for masked steps; a number if it is always the same; or None for the step's number.
        steps: Number of steps.
        sample: Which sample of the batch.
        unit: The unit of time, for the label.

    Raises:
        ValueError: Another shape, or negative or only zero times.
    """
    if elapsed is None:
        return np.arange(steps, dtype="float64"), "step"
    array = as_floats("elapsed", elapsed)
    if array.shape[-1:] == (1,) and array.ndim > 1 and array.shape[-2] == steps:
        array = array[..., 0]
    if array.ndim == 2:
        array = array[_checked_index("sample", sample, len(array), "`elapsed` holds", "sample")]
    if array.ndim == 0:
        array = np.full(steps, float(array))
    if array.shape != (steps,):
        raise ValueError(
            f"`elapsed` must be a number or have the shape (time,) or (batch, time) with {steps} "
            f"steps; received {array.shape}."
        )
    array = np.nan_to_num(array)
    if (array < 0).any() or not array.any():
        raise ValueError(
            "`elapsed` must hold times of at least 0, not all of them 0: the time between each "
            f"step and the step before it; received {array.min():g} to {array.max():g}. Leave "
            "it out to draw over the step's number."
        )
    return np.cumsum(array), f"time ({unit})" if unit else "time"


def edges_of(centres: np.ndarray) -> np.ndarray:
    """Edges between increasing positions, and half a distance before and after them."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def names_of(argument: str, names: Sequence[Any] | None, count: int, kind: str) -> list[str]:
    """Names as texts, or numbered ones.

    Args:
        argument: The name of the argument, for messages.
        names: The names, or None.
        count: How many there must be.
        kind: "neuron", "input", ...

    Raises:
        ValueError: Another number of names.
    """
    if names is None:
        return [f"{kind} {number}" for number in range(count)]
    if isinstance(names, str):
        names = [names]
    if len(names) != count:
        raise ValueError(
            f"`{argument}` must hold {count} names, one per {kind}; received {len(names)}."
        )
    return [str(name) for name in names]


def missing_note(argument: str, values: np.ndarray) -> list[str]:
    """A note about values that are NaN or infinite, if there are any."""
    missing = int(np.isnan(values).sum())
    if not missing:
        return []
    verb = "is" if missing == 1 else "are"
    return [
        f"{missing:,} of {values.size:,} values of the {argument} {verb} missing "
        "(NaN or infinite); they are left out."
    ]


def chosen_indices(
    argument: str, chosen: Sequence[int] | None, default: Sequence[int], count: int, kind: str
) -> list[int]:
    """Indices of features or outputs to draw, each checked.

    Raises:
        ValueError: None, or one that does not exist.
    """
    indices = list(default if chosen is None else chosen)
    if not indices:
        raise ValueError(f"`{argument}` must name at least one {kind}; received none.")
    return [_checked_index(argument, index, count, "there are", kind) for index in indices]


def _checked_index(argument: str, index: Any, count: int, subject: str, kind: str) -> int:
    whole = hasattr(index, "__index__") and not isinstance(index, bool)
    if not (whole and -count <= index < count):
        raise ValueError(
            f"`{argument}` must be an integer from 0 to {count - 1}: {subject} {count} "
            f"{kind}{'s' * (count != 1)}; received {index!r}."
        )
    return int(index) % count


def _listed(names: Any, most: int = 8) -> str:
    found = [repr(name) for name in names]
    rest = len(found) - most
    return ", ".join(found[:most]) + (f" and {rest} more" if rest > 0 else "") or "nothing"


def _described(values: Any) -> str:
    return f"{type(values).__name__} {str(values)[:40]!r}"
