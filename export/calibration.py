"""Calibration data: states of the float model in closed loop, and warnings about their ranges."""

from collections.abc import Sequence

import numpy as np

from export.forms.step import Step
from export.recipes import Recipe
from export.runtimes.keras_step import keras_rollout
from export.runtimes.observed_ranges import observed_ranges
from export.tflite_file.flatbuffer import computed_tensors

# Quantization steps that the middle 98 % of a feature's values must span.
LEAST_LEVELS = 8
# Values of a feature that are looked at to tell whether it has few levels.
MOST_VALUES = 100_000
# Largest range of a state that counts as constant.
CONSTANT_RANGE = 1e-7
# Percentile of a state's changes that must reach half of its resolution.
FAST_CHANGES = 95
# Samples that are run to find constant tensors.
CONSTANT_SAMPLES = 200


def closed_loop_samples(
    step: Step, sequences: dict[str, np.ndarray]
) -> list[dict[str, np.ndarray]]:
    """Return inputs and states of every step of the float model on the sequences, by name."""
    named = dict(sequences)
    for name, after in keras_rollout(step, sequences).states.items():
        # Each step starts from the state after the previous step.
        first = np.repeat(step.initial_states[name][:, np.newaxis], len(after), axis=0)
        named[name] = np.concatenate([first, after[:, :-1]], axis=1)
    rows = {
        name: values.reshape(-1, 1, *step.model.input_specs[name].shape[1:])
        for name, values in named.items()
    }
    count = len(next(iter(rows.values())))
    return [{name: values[i] for name, values in rows.items()} for i in range(count)]


def within_range(
    samples: Sequence[dict[str, np.ndarray]], name: str, low: float, high: float
) -> list[dict[str, np.ndarray]]:
    """Return the samples with a state clipped to a range, and two more that reach its ends.

    For each end, the unit that comes nearest is moved onto it, in the sample in which the unit
    is farthest from it. This moves the unit inwards, so it widens no other range.
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


def calibration_warnings(
    step: Step,
    sequences: dict[str, np.ndarray],
    samples: Sequence[dict[str, np.ndarray]],
    recipe: Recipe,
) -> tuple[str, ...]:
    """Return all warnings that follow from the calibration data of an integer recipe."""
    return (
        *data_warnings(step, sequences, recipe),
        *state_warnings(step, samples),
        *slow_state_warnings(step, samples, recipe),
    )


def data_warnings(step: Step, sequences: dict[str, np.ndarray], recipe: Recipe) -> tuple[str, ...]:
    """Warn of features that an integer file's inputs resolve poorly, one sentence each.

    All features of an input share one scale, which its least and greatest value determine.
    """
    limits = np.iinfo(recipe.activations)
    return tuple(
        warning
        for name, array in sequences.items()
        for feature, values in enumerate(_features(step, name, array))
        if (
            warning := _feature_warning(
                name, feature, values, np.ptp(array) / (limits.max - limits.min)
            )
        )
    )


def state_warnings(step: Step, samples: Sequence[dict[str, np.ndarray]]) -> tuple[str, ...]:
    """Warn of states that stay constant on the data, one sentence each."""
    return tuple(
        f"State {state.name!r} never leaves its initial value on the calibration data, so the "
        "integer file cannot represent any other value."
        for state in step.states
        if np.ptp(np.stack([s[state.name] for s in samples]), axis=0).max() <= CONSTANT_RANGE
    )


def slow_state_warnings(
    step: Step, samples: Sequence[dict[str, np.ndarray]], recipe: Recipe
) -> tuple[str, ...]:
    """Warn of states that move by less than their resolution in a step, one sentence each."""
    limits = np.iinfo(recipe.activations)
    warnings = []
    for state in step.states:
        values = np.stack([sample[state.name] for sample in samples])
        unit = np.ptp(values) / (limits.max - limits.min)
        changes = np.abs(np.diff(values, axis=0))
        change = np.percentile(changes[changes > 0], FAST_CHANGES) if changes.any() else np.inf
        if change < unit / 2:
            warnings.append(
                f"State {state.name!r} changes by less than {change:.2g} in {FAST_CHANGES} % of "
                f"the calibration steps, and the {recipe.name} file resolves {unit:.2g}: such a "
                "state stays nearly still. Use a recipe with finer activations, int16x8 or float32."
            )
    return tuple(warnings)


def constant_tensor_warnings(
    content: bytes, samples: Sequence[dict[str, np.ndarray]]
) -> tuple[str, ...]:
    """Warn of an integer file's tensors that stay constant on all samples, one sentence each."""
    names = computed_tensors(content)
    return tuple(
        f"Tensor {names[index]!r} is constant on all of the calibration data, so its range is not "
        "calibrated."
        for index, (least, greatest) in observed_ranges(content, samples, CONSTANT_SAMPLES).items()
        if least == greatest and index in names
    )


def _features(step, name, array):
    return np.moveaxis(array.reshape(-1, step.features(name)), 1, 0)


def _feature_warning(name, feature, values, unit):
    where = f"Feature {feature} of input {name!r}"
    if np.ptp(values) == 0:
        return (
            f"{where} is always {values[0]:.6g} in the calibration data; "
            "the file may not distinguish other values from it."
        )
    low, high = np.percentile(values, [1, 99])
    if high - low >= LEAST_LEVELS * unit:
        return None
    levels = np.unique(values[:MOST_VALUES])
    if len(levels) <= LEAST_LEVELS and np.diff(levels).min(initial=unit) >= unit:
        # Categories: each level has an integer of its own.
        return None
    peak = values[np.argmax(np.abs(values - np.median(values)))]
    return (
        f"{where}: 98 % of its calibration values lie within {high - low:.3g}, which is less than "
        f"{LEAST_LEVELS} quantization steps of {unit:.3g} of this input; its farthest value is "
        f"{peak:.6g}. Remove outliers, or start the model with a Normalization layer."
    )
