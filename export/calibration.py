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
        By input name, float32 (batch, time, features).

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
    return sequences


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
    return array.astype("float32")


def closed_loop_samples(step: Step, sequences: dict[str, np.ndarray]) -> list[dict]:
    """Inputs and states of every step of the float model on the sequences, by name.

    The last step of a sequence is left out where its new state would widen the
    range of a state's output beyond that of its input: both then have one range,
    and so one scale.
    """
    runtime = KerasStep(step)
    initial = {state.name: state.initial for state in step.states}
    runs = []
    for index in range(len(next(iter(sequences.values())))):
        inputs = {name: array[index] for name, array in sequences.items()}
        run = rollout(runtime, inputs, initial)
        # visited[t] is the state before step t; the last one, after the last step.
        visited = {
            name: np.concatenate([initial[name], values]) for name, values in run.states.items()
        }
        runs.append((inputs, visited))
    runs = _with_equal_ranges(runs)
    samples = []
    for inputs, visited in runs:
        for t in range(_length(visited, inputs)):
            named = {**inputs, **visited}
            samples.append({name: values[t : t + 1] for name, values in named.items()})
    return samples


def _length(visited, inputs):
    return min([len(values) - 1 for values in visited.values()] + [len(v) for v in inputs.values()])


def _with_equal_ranges(runs):
    """Drop last steps until no final state lies outside the states that steps start from."""
    while True:
        trimmed = []
        for name in runs[0][1] if runs else ():
            starts = np.concatenate([visited[name][:-1] for _, visited in runs])
            low, high = min(starts.min(), 0.0), max(starts.max(), 0.0)
            trimmed += [
                i
                for i, (_, visited) in enumerate(runs)
                if visited[name][-1].min() < low or visited[name][-1].max() > high
            ]
        if not trimmed:
            return runs
        runs = [
            (inputs, {name: values[:-1] for name, values in visited.items()})
            if i in trimmed
            else (inputs, visited)
            for i, (inputs, visited) in enumerate(runs)
        ]
        runs = [(inputs, visited) for inputs, visited in runs if _length(visited, inputs) > 0]
        if not runs:
            raise ValueError(
                "The calibration sequences are too short: in each the state grows to its last "
                "step. Give longer ones."
            )
