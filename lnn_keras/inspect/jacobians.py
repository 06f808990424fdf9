"""jacobians: the derivative of a recurrent layer's state after a step by the state before it."""

from typing import Any

import keras
import numpy as np

from lnn_keras.autodiff.vjp import vjp
from lnn_keras.inspect.recording import LayerRecording, Recording
from lnn_keras.inspect.steps import elapsed_of, step_of
from lnn_keras.layers.step_inputs import StepInputs
from lnn_keras.tensors import ops

# Rows of the batch that are differentiated at once.
ROWS = 8192


def jacobians(recording: LayerRecording) -> np.ndarray:
    """The Jacobians J of the steps of a recurrent layer along a recorded trajectory.

        J[i, j] = d state_i after the step / d state_j before the step

    Several states of a cell, for instance the two of an LSTM, count as one, in their order.

    Args:
        recording: A layer of `record`.

    Returns:
        (batch, time, size, size), with the number of states as size. Masked steps are NaN.

    Raises:
        ValueError: `recording` is not that of one layer.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(8))
    recording = lnn_keras.inspect.record(layer, numpy.random.normal(size=(2, 20, 3)))
    lnn_keras.inspect.jacobians(recording[layer.name]).shape    # (2, 20, 8, 8)
    ```
    """
    if not isinstance(recording, LayerRecording):
        names = f", one of {list(recording)}" if isinstance(recording, Recording) else ""
        raise ValueError(
            "`recording` must be that of one layer, `lnn_keras.inspect.record(model, inputs)[name]`"
            f"{names}; received {type(recording).__name__}."
        )
    states = _previous_states(recording)
    sizes = [state.shape[-1] for state in states]
    batch, length = states[0].shape[:2]
    size = sum(sizes)
    flat = [array.reshape(batch * length, -1) for array in (recording["inputs"], *states)]
    if "elapsed" in recording:
        flat.append(recording["elapsed"].reshape(batch * length, 1))
    found = np.full((batch * length, size, size), np.nan, "float32")
    valid = np.flatnonzero(np.all([np.isfinite(array).all(-1) for array in flat], axis=0))
    count = max(1, ROWS // size)
    for start in range(0, len(valid), count):
        rows = valid[start : start + count]
        found[rows] = _of_rows(recording.layer, [array[rows] for array in flat], sizes)
    return found.reshape(batch, length, size, size)


def _previous_states(recording):
    """The states before the steps, one array for each state of the cell."""
    if "previous_state" in recording:
        return [recording["previous_state"]]
    names = [name for name in recording if name.startswith("previous_state_")]
    return [recording[name] for name in names]


def _of_rows(layer, arrays, sizes):
    """The Jacobians (rows, size, size) at inputs, states and elapsed times (rows, ...)."""
    count, size = len(arrays[0]), sum(sizes)
    # Each row once for each component of the new state, whose gradient it gives.
    features, *rest = (ops.convert_to_tensor(np.repeat(array, size, axis=0)) for array in arrays)
    states, times = rest[: len(sizes)], rest[len(sizes) :]
    structure = layer.get_initial_state(batch_size=1)
    inputs = StepInputs(features, *times)
    elapsed = None if times else elapsed_of(layer)

    def new_state(*states):
        step, projected, parameters = step_of(layer, inputs, elapsed, structure)
        _, new = step(projected, list(states), parameters)
        return [ops.concatenate(keras.tree.flatten(new), axis=-1)]

    one_hot: Any = np.tile(np.eye(size, dtype="float32"), (count, 1))
    gradients = vjp(new_state, states, [ops.convert_to_tensor(one_hot)])
    joined = ops.convert_to_numpy(ops.concatenate(gradients, axis=-1))
    return joined.reshape(count, size, size)
