"""Conversion of user data to sequences of steps, by input name."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import keras
import numpy as np
from numpy.typing import ArrayLike

from export.forms.adaptive_readout import marked_missing, target_inputs
from export.forms.elapsed_inputs import require_elapsed
from export.forms.model_graph import ModelGraph, Value
from export.forms.step import Step, to_step
from export.forms.time_axis import takes_elapsed

# Arrays, or batches of a tf.data.Dataset or generator, alone or as (inputs, ...).
Data: TypeAlias = ArrayLike | Mapping[str, ArrayLike] | Iterable[Any]

# Sequences that are taken from a dataset or generator, which may be endless.
DATASET_SEQUENCES = 256


def as_arrays(graph: ModelGraph, data: Data, argument: str = "calibration") -> dict[str, Any]:
    """Check data for a model's inputs, and return one batch of sequences per input.

    Args:
        graph: The graph of the model.
        data: (batch, time, ...), or (time, ...) for one sequence; for a model with several inputs
            a mapping from their names to such arrays, or a list of arrays in the model's order.
            A tf.data.Dataset or a generator gives batches of them, or pairs of inputs and targets;
            at most `DATASET_SEQUENCES` sequences are taken.
        argument: Name of the data in errors.

    Returns:
        By input name, in the dtype of the model's input; the first axis is the batch.

    Raises:
        ValueError: An input is missing or unknown, has another shape, is empty, not finite, or
            does not fit in the type of the model's input; or an elapsed time is below 0.
    """
    targets = target_inputs(graph)
    arrays = {
        name: _as_batch(value, graph.inputs[name], name, argument, name in targets)
        for name, value in _by_name(graph, _from_batches(data, argument), argument).items()
    }
    lengths = {name: array.shape[:2] for name, array in arrays.items()}
    if len({length[0] for length in lengths.values()}) > 1 or _different_times(graph, lengths):
        raise ValueError(
            f"The inputs in `{argument}` differ in batch or time: "
            + ", ".join(f"{name} {shape}" for name, shape in lengths.items())
            + "."
        )
    require_elapsed(graph, arrays, argument)
    return arrays


def as_whole_sequences(
    graph: ModelGraph, data: Data, argument: str = "calibration"
) -> dict[str, np.ndarray]:
    """Check data as `as_arrays` does, for a model that runs whole sequences.

    Raises:
        ValueError: See `as_arrays`; or the sequences have not the model's fixed length.
    """
    arrays = as_arrays(graph, data, argument)
    for name, array in arrays.items():
        length = graph.inputs[name].shape[1]
        if length not in (None, array.shape[1]):
            raise ValueError(
                f"`{argument}` for input {name!r} has {array.shape[1]} time steps; the model takes "
                f"{length}. Cut the data into sequences of this length."
            )
    return arrays


def as_sequences(step: Step, data: Data, argument: str = "calibration") -> dict[str, np.ndarray]:
    """Check data for a step's inputs and convert them to a common format.

    Args:
        step: The step form that takes the data.
        data: (batch, time, ...), or (time, ...) for one sequence; for a model with several inputs
            a mapping from their names to such arrays, or a list of arrays in the model's order;
            elapsed times as (batch, time). A tf.data.Dataset or a generator gives batches of them.
        argument: Name of the data in errors.

    Returns:
        By input name, float32 (batch, steps, values), with folded scaling applied. If a step
        takes several rows, these are concatenated, and an incomplete step at the end is dropped.
        For a model of a fixed length, longer sequences are cut into windows of that length.

    Raises:
        ValueError: An input is missing or unknown, has another shape, is empty, not finite, or
            shorter than the model's fixed length.
    """
    arrays = as_arrays(step.graph, data, argument)
    return {name: _in_steps(step, array, name, argument) for name, array in arrays.items()}


def noise(model: keras.Model, steps: int) -> dict[str, np.ndarray]:
    """Return Gaussian noise for a model, real values of each input by name.

    If the model starts with normalization, the noise has the mean and deviation of its features.
    If the model takes elapsed times, the noise is not negative. A model of a fixed length gets
    several sequences.
    """
    random = np.random.default_rng(0)
    step = to_step(model, fold_scaling=True)
    length = steps * step.rows
    batch = 1
    if step.window is not None:
        length = step.window * step.rows
        batch = max(2, steps // step.window)
    values = {}
    for name, value in step.graph.inputs.items():
        drawn = random.standard_normal((batch, length, step.features(name)))
        real = step.scalings[name].to_real(drawn)
        real = np.abs(real) if takes_elapsed(step.graph) else real
        values[name] = real.reshape(batch, length, *value.shape[2:]).astype(value.dtype)
    return values


def verification_sequences(
    step: Step, sequences: dict[str, np.ndarray], steps: int | None, reset: bool = False
) -> dict[str, np.ndarray]:
    """Return the sequences (batch, steps, values) that a file is verified on.

    Each sequence starts from the initial states if the device resets them, if the model has a
    fixed length, or if it returns only its last step. Otherwise the states run on through all
    sequences, as on a device that is never reset.

    Args:
        step: The step form.
        sequences: As `as_sequences` returns them.
        steps: Largest number of steps in all; None for all.
        reset: Whether the device resets the states before each sequence.
    """
    batch, time = next(iter(sequences.values())).shape[:2]
    returns_last = len(step.sequences) < len(step.outputs)
    if reset and steps is not None and time > steps:
        return {name: array[:1, :steps] for name, array in sequences.items()}
    if reset or step.window is not None or (returns_last and batch > 1):
        count = batch if steps is None else max(1, steps // time)
        return {name: array[:count] for name, array in sequences.items()}
    return {
        name: array.reshape(1, -1, array.shape[-1])[:, :steps] for name, array in sequences.items()
    }


def real_inputs(step: Step, sequences: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the original model's inputs for sequences of steps: (batch, time, ...)."""
    real = {}
    for name, values in sequences.items():
        shape = step.graph.inputs[name].shape[2:]
        rows = values.reshape(len(values), -1, step.features(name))
        rows = step.scalings[name].to_real(rows)
        real[name] = rows.reshape(*rows.shape[:2], *shape).astype(step.graph.inputs[name].dtype)
    return real


def _from_batches(data, argument):
    """Data of a dataset or generator as arrays; other data unchanged."""
    if isinstance(data, (Mapping, list, tuple)) or hasattr(data, "__array__"):
        return data
    if not isinstance(data, Iterable):
        return data
    batches, count = [], 0
    for batch in itertools.islice(data, DATASET_SEQUENCES):
        # (inputs, targets) or (inputs, targets, sample_weights), as `fit` takes them.
        inputs = batch[0] if isinstance(batch, tuple) else batch
        batches.append(keras.tree.map_structure(np.asarray, inputs))
        count += len(keras.tree.flatten(batches[-1])[0])
        if count >= DATASET_SEQUENCES:
            break
    if not batches:
        raise ValueError(f"`{argument}` is an empty dataset; give at least one batch of sequences.")
    try:
        return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)
    except ValueError as error:
        raise ValueError(f"The batches of `{argument}` have different shapes: {error}") from error


def _by_name(graph, data, argument):
    names = list(graph.inputs)
    if isinstance(data, (list, tuple)) and len(names) > 1 and len(data) == len(names):
        return dict(zip(names, data, strict=True))
    if not isinstance(data, Mapping):
        if len(names) > 1:
            raise ValueError(
                f"The model has the inputs {', '.join(names)}; `{argument}` must be a "
                f"mapping from their names to arrays; received {type(data).__name__}."
            )
        return {names[0]: data}
    # The model itself may have other names than its files.
    renamed = {graph.keys[name]: name for name in names}
    named = {renamed.get(name, name): value for name, value in data.items()}
    if set(named) != set(names):
        raise ValueError(
            f"`{argument}` must have the keys {', '.join(names)}; "
            f"received {', '.join(map(str, data)) or 'none'}."
        )
    return {name: named[name] for name in names}


def _different_times(graph, lengths):
    """Whether sequences differ in length; inputs of a fixed length may have different ones."""
    fixed = {value.shape[1] for value in graph.inputs.values()} - {None}
    times = {
        length[1]
        for name, length in lengths.items()
        if graph.inputs[name].shape[1] is None
        or (len(fixed) == 1 and len(graph.inputs[name].shape) > 2)
    }
    return len(times) > 1


def _as_batch(
    data: Any, value: Value, name: str, argument: str, may_be_missing: bool
) -> np.ndarray:
    where = f"`{argument}` for input {name!r}"
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(
            f"{where} must be one array; received a {type(data).__name__} of {len(data)} parts of "
            "different shapes. Give the inputs only, without targets."
        ) from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{where} must hold numbers; received dtype {array.dtype}.")
    received, features = array.shape, value.shape[2:]
    if array.ndim == 1 + len(features) and array.shape[1:] == features:
        array = array[np.newaxis]
    elif array.ndim == 2 and features == (1,):
        array = array[..., np.newaxis]
    elif array.ndim == 3 and len(value.shape) == 2 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != len(value.shape) or array.shape[2:] != features:
        sizes = "".join(f", {size}" for size in features)
        raise ValueError(
            f"{where} must have shape (batch, time{sizes}) or (time{sizes}); received {received}."
        )
    if array.size == 0:
        raise ValueError(f"{where} is empty; received shape {received}.")
    if may_be_missing:
        array = marked_missing(array.astype(value.dtype))
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{where} must be finite; received {np.count_nonzero(~finite)} NaN or infinite "
            f"values, the first at (batch, time, feature) {first}."
        )
    return _cast(array, value.dtype, where)


def _cast(array: np.ndarray, dtype: Any, where: str) -> np.ndarray:
    """Convert data as Keras does; values that the model's type does not have are an error."""
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
        is_float = np.issubdtype(cast.dtype, np.floating) or cast.dtype.kind == "V"
        fits = np.isfinite(cast) if is_float else cast == np.trunc(array)
    _require_all(fits, array, f"{where} must fit in {dtype}, the type of the model's input")
    return cast


def _require_all(fits: np.ndarray, array: np.ndarray, requirement: str) -> None:
    if fits.all():
        return
    first = tuple(int(i) for i in np.argwhere(~fits)[0])
    raise ValueError(
        f"{requirement}; {np.count_nonzero(~fits)} values do not, the first at "
        f"(batch, time, feature) {first}: {array[first]}."
    )


def _in_steps(step: Step, array: np.ndarray, name: str, argument: str) -> np.ndarray:
    batch, time = array.shape[:2]
    least = step.rows * (step.window or 1)
    if time < least:
        unit = "a step of the model takes" if step.window is None else "the model takes windows of"
        raise ValueError(
            f"`{argument}` for input {name!r} has {time} rows per sequence; {unit} {least}."
        )
    rows = array.reshape(batch, time, -1).astype("float32")
    with np.errstate(all="ignore"):
        values = step.scalings[name].to_values(rows)[:, : time - time % least]
    if not np.isfinite(values).all():
        raise ValueError(
            f"`{argument}` for input {name!r} holds values up to {np.abs(rows).max():.3g}, which "
            "the model's normalization takes beyond float32; check their unit."
        )
    steps = step.window or time // step.rows
    return values.reshape(-1, steps, step.rows * values.shape[-1])
