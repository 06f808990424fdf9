"""Conversion of user data to sequences of steps, by input name."""

from collections.abc import Mapping
from typing import TypeAlias

import keras
import numpy as np
from numpy.typing import ArrayLike

from export.forms.step import Step, to_step
from export.forms.supported_layers import as_functional, takes_elapsed

Data: TypeAlias = ArrayLike | Mapping[str, ArrayLike]


def as_sequences(step: Step, data: Data, argument: str = "calibration") -> dict[str, np.ndarray]:
    """Check data for a step's inputs and convert them to a common format.

    Args:
        step: The step form that takes the data.
        data: (batch, time, features), or (time, features) for one sequence; for a model with
            several inputs a mapping from their names to such arrays, elapsed times as
            (batch, time).
        argument: Name of the data in errors.

    Returns:
        By input name, float32 (batch, time, features), with folded scaling applied. If a step
        takes several rows, these are concatenated: (batch, time // rows, rows * features), and
        an incomplete step at the end is dropped.

    Raises:
        ValueError: An input is missing or unknown, has another shape, is empty or not finite.
    """
    if not isinstance(data, Mapping):
        if len(step.inputs) > 1:
            raise ValueError(
                f"The model has the inputs {', '.join(step.inputs)}; `{argument}` must be a "
                f"mapping from their names to arrays; received {type(data).__name__}."
            )
        data = dict.fromkeys(step.inputs, data)
    if set(data) != set(step.inputs):
        raise ValueError(
            f"`{argument}` must have the keys {', '.join(step.inputs)}; "
            f"received {', '.join(map(str, data)) or 'none'}."
        )
    sequences = {
        name: _as_sequence(np.asarray(data[name]), step.features(name), name, argument)
        for name in step.inputs
    }
    lengths = {name: array.shape[:2] for name, array in sequences.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"The inputs in `{argument}` differ in batch or time: "
            + ", ".join(f"{name} {shape}" for name, shape in lengths.items())
            + "."
        )
    return {
        name: _in_steps(step.scalings[name].to_values(array), step.rows, name, argument)
        for name, array in sequences.items()
    }


def _in_steps(array, rows, name, argument):
    batch, time, features = array.shape
    if time < rows:
        raise ValueError(
            f"`{argument}` for input {name!r} has {time} rows per sequence; "
            f"a step of the model takes {rows}."
        )
    return array[:, : time - time % rows].reshape(batch, time // rows, rows * features)


def _as_sequence(array, features, name, argument):
    where = f"`{argument}` for input {name!r}"
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{where} must hold numbers; received dtype {array.dtype}.")
    received = array.shape
    if array.ndim == 2 and array.shape[1] == features:
        array = array[np.newaxis]
    elif array.ndim == 2 and features == 1:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[2] != features:
        raise ValueError(
            f"{where} must have shape (batch, time, {features}) or (time, {features}); "
            f"received {received}."
        )
    if array.size == 0:
        raise ValueError(f"{where} is empty; received shape {received}.")
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{where} must be finite; received {np.count_nonzero(~finite)} NaN or infinite "
            f"values, the first at (batch, time, feature) {first}."
        )
    return array


def noise(model: keras.Model, step: Step, steps: int) -> dict[str, np.ndarray]:
    """Return one sequence of Gaussian noise per input, in the format of `as_sequences`.

    If the model starts with normalization, the noise has the mean and deviation of its features.
    If the model takes elapsed times, the noise is not negative.
    """
    random = np.random.default_rng(0)
    scalings = to_step(model, fold_scaling=True).scalings
    rows = {
        name: scalings[name].to_real(
            random.standard_normal((1, steps * step.rows, step.features(name)))
        )
        for name in step.inputs
    }
    if takes_elapsed(as_functional(model)):
        rows = {name: np.abs(values) for name, values in rows.items()}
    return as_sequences(step, rows, "noise")


def end_to_end(sequences: dict[str, np.ndarray], steps: int) -> dict[str, np.ndarray]:
    """Concatenate the sequences over time: (time, features), with at most `steps` steps."""
    return {name: array.reshape(-1, array.shape[-1])[:steps] for name, array in sequences.items()}


def real_rows(step: Step, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the original model's inputs for the rows of a step: (time, features), real values."""
    return {
        name: step.scalings[name].to_real(values.reshape(-1, step.features(name)))
        for name, values in rows.items()
    }
