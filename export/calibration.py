"""Data for a step: sequences by input name, and the states that a model visits on them."""

from collections.abc import Mapping

import numpy as np

from export.runtimes import KerasStep, rollout
from export.step import Step


def as_sequences(step: Step, data, argument: str = "calibration") -> dict[str, np.ndarray]:
    """Check data for a step's inputs and bring them into one form.

    Args:
        step: The step whose inputs the data feed.
        data: (batch, time, features), or (time, features) for one sequence; for a
            model with several inputs a mapping from their names to such arrays,
            elapsed times as (batch, time).
        argument: What the data are called in errors.

    Returns:
        By input name, float32 (batch, time, features), as the step sees them: with a
        folded scaling done, and, where a step takes several rows, these side by side:
        (batch, time // rows, rows * features), without those that make no whole step.

    Raises:
        ValueError: An input is missing or unknown, of another shape, empty, or not finite.
    """
    if not isinstance(data, Mapping):
        if len(step.inputs) > 1:
            raise ValueError(
                f"The model has the inputs {', '.join(step.inputs)}; `{argument}` must be a "
                f"mapping from their names to arrays; received {type(data).__name__}."
            )
        data = {step.inputs[0]: data}
    if set(data) != set(step.inputs):
        raise ValueError(
            f"`{argument}` must have the keys {', '.join(step.inputs)}; "
            f"received {', '.join(map(str, data)) or 'none'}."
        )
    features = {name: step.model.input[name].shape[-1] for name in step.inputs}
    sequences = {
        name: _as_sequence(np.asarray(data[name]), features[name], name, argument)
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


def closed_loop_samples(step: Step, sequences: dict[str, np.ndarray]) -> list[dict]:
    """Inputs and states of every step of the float model on the sequences, by name."""
    runtime = KerasStep(step)
    initial = {state.name: state.initial for state in step.states}
    samples = []
    for index in range(len(next(iter(sequences.values())))):
        named = {name: array[index] for name, array in sequences.items()}
        length = len(next(iter(named.values())))
        for name, after in rollout(runtime, named, initial).states.items():
            # Each step starts from the state that the one before it left.
            named[name] = np.concatenate([initial[name], after[:-1]])
        samples += [
            {name: values[t : t + 1] for name, values in named.items()} for t in range(length)
        ]
    return samples


def within_range(samples: list[dict], name: str, low: float, high: float) -> list[dict]:
    """The samples with a state held within a range, and two more that reach its ends.

    In those, the unit that comes nearest an end is moved onto it, in the sample in
    which it was farthest away: from there it moves inwards and widens no range.
    """
    clipped = [{**sample, name: np.clip(sample[name], low, high)} for sample in samples]
    states = np.stack([sample[name] for sample in clipped])
    for nearest, farthest, end in ((np.argmin, np.argmax, low), (np.argmax, np.argmin, high)):
        unit = np.unravel_index(nearest(states), states.shape)[1:]
        sample = clipped[farthest(states[(slice(None), *unit)])]
        state = sample[name].copy()
        state[unit] = end
        clipped.append({**sample, name: state})
    return clipped
