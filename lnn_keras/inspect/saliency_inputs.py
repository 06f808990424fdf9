"""The inputs of saliency methods: checked arrays in the structure that a model takes."""

from typing import Any

import keras
import numpy as np


def checked_inputs(model: Any, inputs: Any) -> list[np.ndarray]:
    """The arrays of the inputs, in the order of their structure.

    Integers become floats, but for inputs that the model takes as integers.

    Raises:
        ValueError: `model` is no Keras layer or takes another number of inputs, an input is not
            (batch, time, ...), or a value is not finite.
    """
    if not isinstance(model, keras.layers.Layer):
        raise ValueError(
            f"`model` must be a Keras model or layer; received {type(model).__name__}."
        )
    names = _names(inputs)
    arrays = [np.asarray(leaf) for leaf in keras.tree.flatten(inputs)]
    if not arrays or any(array.ndim < 2 or not array.size for array in arrays):
        raise ValueError(
            "Inputs must be arrays (batch, time, ...) with at least one sequence and one step; "
            f"received shapes {[array.shape for array in arrays]}."
        )
    if len({len(array) for array in arrays}) > 1:
        raise ValueError(
            "All inputs must hold the same number of sequences; received shapes "
            f"{[array.shape for array in arrays]}."
        )
    integers = _integer_inputs(model, inputs, len(arrays))
    checked = []
    for name, array, is_integer in zip(names, arrays, integers, strict=True):
        if not is_integer:
            array = array.astype("float32")
            _require_finite(name, array)
        checked.append(array)
    return checked


def packed(structure: Any, arrays: list[Any]) -> Any:
    """Arrays in the structure of inputs."""
    if not keras.tree.is_nested(structure):
        return arrays[0]
    return keras.tree.pack_sequence_as(structure, arrays)


def baselines(inputs: Any, arrays: list[np.ndarray], baseline: Any) -> list[np.ndarray]:
    """The baseline of each input, of its shape.

    Args:
        inputs: The inputs in their structure.
        arrays: Their arrays.
        baseline: None for zeros, a number, an array that can be broadcast to the one input, or
            such values in the structure of the inputs.

    Raises:
        ValueError: The baseline does not fit the inputs, or is not finite.
    """
    if baseline is None or (not keras.tree.is_nested(baseline) and np.ndim(baseline) == 0):
        values = [0.0 if baseline is None else baseline] * len(arrays)
    elif keras.tree.is_nested(inputs):
        try:
            keras.tree.assert_same_structure(inputs, baseline)
        except (ValueError, TypeError) as error:
            raise ValueError(
                "`baseline` must be a number, or have the structure of the inputs."
            ) from error
        values = keras.tree.flatten(baseline)
    else:
        values = [baseline]
    found = []
    for array, value in zip(arrays, values, strict=True):
        value = np.asarray(value, array.dtype)
        try:
            value = np.broadcast_to(value, array.shape)
        except ValueError:
            raise ValueError(
                f"`baseline` of shape {value.shape} does not fit inputs of shape {array.shape}."
            ) from None
        if not np.isfinite(value).all():
            raise ValueError("`baseline` must be finite.")
        found.append(value)
    return found


def _integer_inputs(model, inputs, count):
    """Which inputs a model takes as integers, for instance those of an Embedding."""
    symbolic = getattr(model, "inputs", None) if isinstance(model, keras.Model) else None
    if not symbolic:
        return [False] * count
    dtypes = [str(tensor.dtype) for tensor in keras.tree.flatten(symbolic)]
    by_name = {tensor.name: dtype for tensor, dtype in zip(symbolic, dtypes, strict=True)}
    if isinstance(inputs, dict) and set(inputs) <= set(by_name):
        dtypes = [by_name[name] for name in _names(inputs)]
    if len(dtypes) != count:
        raise ValueError(f"{model.name!r} takes {len(dtypes)} inputs; received {count}.")
    return [dtype.startswith(("int", "uint", "bool")) for dtype in dtypes]


def _names(inputs):
    """The name of each input, for messages."""
    if isinstance(inputs, dict):
        return sorted(inputs)
    return [f"input {number}" for number in range(len(keras.tree.flatten(inputs)))]


def _require_finite(name, array):
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        sample, step, *rest = wrong[0].tolist()
        feature = f", feature {rest[0]}" if rest else ""
        raise ValueError(
            f"{name} has {len(wrong)} values that are not finite, the first at sequence {sample}, "
            f"step {step}{feature}. Fill them, or leave these sequences out."
        )
