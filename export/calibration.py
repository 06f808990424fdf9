"""The states that a model visits on data, and what integers cannot hold of it."""

import numpy as np

from export.forms.step import Step
from export.recipes import Recipe
from export.runtimes import KerasStep, rollout
from export.runtimes.litert import make_interpreter
from export.tflite_file.flatbuffer import made_tensors, read_signature
from export.tflite_file.narrow_ranges import visited_numbers

FEWEST_NUMBERS = 8
ONE_NUMBER = 1e-7
STILL_SAMPLES = 200


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


def data_warnings(step: Step, sequences: dict[str, np.ndarray], recipe: Recipe) -> tuple[str, ...]:
    """What the inputs of an integer file cannot hold of the data, one sentence each.

    All features of an input share one scale, which its least and greatest value set.
    """
    numbers = np.iinfo(recipe.activations).max - np.iinfo(recipe.activations).min
    return tuple(
        sentence
        for name, array in sequences.items()
        for feature, values in enumerate(_features(step, name, array))
        if (sentence := _feature_warning(name, feature, values, np.ptp(array) / numbers))
    )


def state_warnings(step: Step, samples: list[dict[str, np.ndarray]]) -> tuple[str, ...]:
    """The states that the data never move, one sentence each."""
    return tuple(
        f"State {state.name!r} never leaves its initial value on the calibration data; "
        "integers cannot hold any other."
        for state in step.states
        if np.ptp(np.stack([s[state.name] for s in samples]), axis=0).max() <= ONE_NUMBER
    )


def still_tensors(content: bytes, samples: list[dict[str, np.ndarray]]) -> tuple[str, ...]:
    """The tensors of an integer file that hold one number on all samples, one sentence each."""
    signature = read_signature(content)
    chosen = samples[:: -(-len(samples) // STILL_SAMPLES)]
    numbers = [[t.quantize(sample[t.name]) for t in signature.inputs] for sample in chosen]
    interpreter = make_interpreter(content, preserve_all_tensors=True, xnnpack=False)
    names = {detail["index"]: detail["name"] for detail in interpreter.get_tensor_details()}
    made = made_tensors(content)
    return tuple(
        f"Tensor {names[index]!r} holds one number on all of the calibration data; "
        "its range is not measured."
        for index, (least, greatest) in visited_numbers(interpreter, numbers).items()
        if least == greatest and index in made
    )


def _features(step, name, array):
    size = step.model.input[name].shape[-1]
    return np.moveaxis(array.reshape(-1, size), 1, 0)


def _feature_warning(name, feature, values, unit):
    where = f"Feature {feature} of input {name!r}"
    if np.ptp(values) == 0:
        return (
            f"{where} is always {values[0]:.6g} in the calibration data; "
            "the file may not tell other values from it."
        )
    low, high = np.percentile(values, [1, 99])
    if high - low >= FEWEST_NUMBERS * unit:
        return None
    peak = values[np.argmax(np.abs(values - np.median(values)))]
    return (
        f"{where}: 98 % of its calibration values lie within {high - low:.3g}, which is less than "
        f"{FEWEST_NUMBERS} units of {unit:.3g} of the input's scale; its farthest value is "
        f"{peak:.6g}. Remove outliers, or begin the model with Normalization."
    )
