"""AdaptiveModel: a trained model whose readout keeps learning from a stream."""

import hashlib
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lnn_keras.adapt.linear_method import LinearMethod
from lnn_keras.adapt.readout import readout
from lnn_keras.adapt.readout_cell import COUNTS, AdaptiveReadoutCell, Guard, share_of
from lnn_keras.adapt.state_file import read_state, write_state
from lnn_keras.adapt.stream_model import StreamModel, functional
from lnn_keras.tensors import Tensor, ops

TARGET = "target"
_NAMES = ("adaptive_features", "adaptive_projection", "adaptive_inputs", "adaptive_readout")


def adaptive_model(
    model: Any,
    method: LinearMethod,
    *,
    delay: int = 0,
    outlier: float = 6.0,
    memory: int = 500,
    projection: np.ndarray | None = None,
) -> keras.Model:
    """A model with one more input, the targets, from which its readout keeps learning.

    It is a Keras model with one more RNN layer, `AdaptiveReadoutCell`, whose states hold all that
    was learned. The weights of `model` are shared and do not change.

    Args:
        model: A built Sequential or Functional model with one output (batch, time, outputs) and a
            readout, see `lnn_keras.adapt.readout`.
        method: `RecursiveLeastSquares` or `LeastMeanSquares`.
        delay: Number of steps until the truth of a prediction is known; see `AdaptiveReadoutCell`.
        outlier: Largest error that counts in full, in deviations of the recent errors.
        memory: Number of steps over which the share of the correction is computed.
        projection: Optional matrix (features, size): the method learns from this projection of the
            features, for instance `principal_components`, which needs less memory.

    Returns:
        Functional model from the inputs of `model` and `target` (batch, time, outputs) to the
        corrected predictions, of the same shape. Unknown targets are NaN.

    Raises:
        ValueError: `model` has no linear readout, or an argument is out of its range.

    Example:

    ```python
    method = lnn_keras.adapt.RecursiveLeastSquares()
    adaptive = lnn_keras.adapt.adaptive_model(model, method, delay=1)
    export.to_tflite(adaptive, "build/device", recipe="float32", evaluation=([x, y], y))
    ```
    """
    _require_method(method)
    graph = functional(model)
    found = readout(graph)
    _require_free_names(graph)
    target: Any = keras.Input((None, found.outputs), name=TARGET)
    features: Any = found.features
    size = found.size
    if len(features) > 1:
        features = keras.layers.Concatenate(name="adaptive_features")(features)
    else:
        (features,) = features
    if projection is not None:
        matrix = np.asarray(projection, "float32")
        if matrix.ndim != 2 or matrix.shape[0] != size:
            raise ValueError(
                f"`projection` must be a matrix with {size} rows, one per feature; received shape "
                f"{matrix.shape}."
            )
        layer = keras.layers.Dense(
            matrix.shape[1], use_bias=False, trainable=False, name="adaptive_projection"
        )
        features = layer(features)
        layer.set_weights([matrix])
        size = matrix.shape[1]
    cell = AdaptiveReadoutCell(
        method,
        size,
        found.outputs,
        delay,
        outlier,
        memory,
        name="adaptive_readout_cell",
        dtype="float32",
    )
    layer: Any = keras.layers.RNN(
        cell, return_sequences=True, name="adaptive_readout", dtype="float32"
    )
    join = keras.layers.Concatenate(name="adaptive_inputs", dtype="float32")
    outputs = layer(join([features, graph.outputs[0], target]))
    return keras.Model([*graph.inputs, target], outputs, name=f"{model.name}_adaptive")


class AdaptiveModel:
    """A trained model that predicts a stream, and whose readout keeps learning from it.

    Args:
        model: See `adaptive_model`, also for the keyword arguments.
        method: `RecursiveLeastSquares` or `LeastMeanSquares`.
        **options: `delay`, `outlier`, `memory` and `projection` of `adaptive_model`.

    Attributes:
        model: The Keras model of `adaptive_model`, which can be exported.

    Raises:
        ValueError: The model has no linear readout, has layers that need whole sequences, or an
            argument is out of its range.

    Example:

    ```python
    model = lnn_keras.LiquidStack(features=3, outputs=1, blocks=1, width=8)    # trained elsewhere
    adaptive = lnn_keras.adapt.AdaptiveModel(model, lnn_keras.adapt.RecursiveLeastSquares())
    for step in range(3):
        prediction = adaptive.observe([[0.1, 0.2, 0.3]], [[0.5]])    # made before it is learned
    print(adaptive.log())
    ```
    """

    def __init__(self, model: Any, method: LinearMethod, **options: Any):
        self.model = adaptive_model(model, method, **options)
        cell: Any = self.model.get_layer("adaptive_readout").cell
        self._cell: AdaptiveReadoutCell = cell
        self._stream = StreamModel(self.model)
        self.reset()

    def reset(self) -> None:
        """Forget what was learned, and return to the initial states."""
        self._states = [value.copy() for value in self._stream.initial_states]

    def restart(self) -> None:
        """Begin another recording: keep what was learned, and return to the other initial states.

        Predictions that still wait for their targets are dropped.
        """
        start = len(self._states) - len(self._cell.state_size)
        learned = range(start, start + self._cell.learned_states)
        self._states = [
            value if place in learned else first.copy()
            for place, (value, first) in enumerate(
                zip(self._states, self._stream.initial_states, strict=True)
            )
        ]

    @property
    def state(self) -> list[np.ndarray]:
        """The states of the model and of its readout, each (1, size)."""
        return [value.copy() for value in self._states]

    def observe(self, x: Any, target: Any = None) -> np.ndarray:
        """Predict the next steps of the stream, and learn from their targets.

        Args:
            x: One step (features,) or several (time, features); a list of such for several inputs,
                in the order of the model.
            target: The target of each prediction, (outputs,) or (time, outputs); with `delay`, of
                the prediction made that many steps before. NaN where it is missing; None where all
                are.

        Returns:
            The predictions, (outputs,) or (time, outputs). Each is made before its target is
            learned.

        Raises:
            ValueError: Another number of inputs, features, outputs or steps.
        """
        inputs = self.model.inputs
        arrays = _arrays_of_inputs(x, inputs[:-1])
        is_one_step = arrays[0].ndim == len(inputs[0].shape) - 2
        steps = 1 if is_one_step or arrays[0].ndim == 0 else len(arrays[0])
        if target is None:
            target = np.full((steps, self._cell.outputs), np.nan)
        arrays.append(_as_array(target, TARGET))
        batch = [_as_batch(*pair, steps) for pair in zip(arrays, inputs, strict=True)]
        if steps == 0:
            return np.zeros((0, self._cell.outputs), "float32")
        results: Any = self._stream.predict_on_batch([*batch, *self._states])
        outputs, *self._states = (np.asarray(result) for result in results)
        return outputs[0, 0] if is_one_step else outputs[0]

    def log(self) -> dict[str, Any]:
        """What the guards did since the last reset.

        Returns:
            "learned", "missing" and "limited": numbers of targets, averaged over outputs; "share":
            the share of the correction that is added to each output now, (outputs,).
        """
        guard = self._guard()
        counts = dict(zip(COUNTS, (float(count) for count in guard.counts[0]), strict=True))
        return {**counts, "share": ops.convert_to_numpy(share_of(guard))[0]}

    def _guard(self) -> Guard:
        own = self._states[-len(self._cell.state_size) :]
        return self._cell._separate(own)[1]

    def save_state(self, path: str | Path) -> None:
        """Write the state to a file, completely or not at all."""
        write_state(path, self._states, self._digest())

    def load_state(self, path: str | Path) -> None:
        """Continue from a state that `save_state` wrote.

        Raises:
            ValueError: The file is damaged, or is the state of another model.
        """
        self._states = read_state(path, self._stream.initial_states, self._digest())

    def _digest(self) -> str:
        """Digest of the weights of the frozen model and of the readout's configuration."""
        digest = hashlib.sha256()
        for value in self.model.get_weights():
            digest.update(np.ascontiguousarray(value).tobytes())
        config = {k: v for k, v in self._cell.get_config().items() if k not in ("name", "dtype")}
        digest.update(json.dumps(config, sort_keys=True, default=str).encode())
        return digest.hexdigest()


def principal_components(features: Tensor, count: int) -> np.ndarray:
    """The directions in which features vary most, for `projection`.

    Args:
        features: Typical features (..., features).
        count: Number of directions.

    Returns:
        A matrix (features, count), whose columns are scaled to projections of variance 1.

    Raises:
        ValueError: `count` is not between 1 and the number of features.
    """
    rows = np.asarray(features, "float64").reshape(-1, np.shape(features)[-1])
    if not 1 <= count <= rows.shape[1]:
        raise ValueError(f"`count` must be between 1 and {rows.shape[1]}; received {count!r}.")
    values, vectors = np.linalg.eigh(np.cov(rows, rowvar=False))
    order = np.argsort(values)[::-1][:count]
    scale = np.sqrt(np.maximum(values[order], 1e-12 * values.max()))
    return (vectors[:, order] / scale).astype("float32")


def _require_free_names(graph):
    """Raise a ValueError if a layer has a name that the adaptive model gives to its own."""
    taken = [layer.name for layer in graph.layers if layer.name in (TARGET, *_NAMES)]
    if taken:
        raise ValueError(
            f"Model {graph.name!r} has a layer or input {taken[0]!r}, which is the name of a part "
            "of an adaptive model: give it another name, or take the model before it was adaptive."
        )


def _arrays_of_inputs(x, inputs):
    """The arrays of the inputs: of one input its array, or a list of the only one."""
    if len(inputs) == 1:
        array = _as_array(x, inputs[0].name)
        is_listed = isinstance(x, (list, tuple)) and array.ndim == len(inputs[0].shape)
        return [array[0]] if is_listed and len(array) == 1 else [array]
    if not isinstance(x, (list, tuple)) or len(x) != len(inputs):
        names = ", ".join(tensor.name for tensor in inputs)
        received = len(x) if isinstance(x, (list, tuple)) else type(x).__name__
        raise ValueError(
            f"The model has {len(inputs)} inputs; give a list of {names}. Received {received}."
        )
    return [_as_array(part, tensor.name) for part, tensor in zip(x, inputs, strict=True)]


def _as_array(value, name):
    try:
        return np.asarray(value, "float32")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name!r} must be an array of numbers; received {type(value).__name__}."
        ) from error


def _require_method(method):
    """Raise a ValueError if a method is not an object that learns a linear map."""
    if not isinstance(method, LinearMethod):
        raise ValueError(
            "`method` must be an object such as lnn_keras.adapt.RecursiveLeastSquares() or "
            f"LeastMeanSquares(); received {method!r}."
        )


def _as_batch(array, tensor, steps):
    """One sequence as a batch (1, time, ...), checked against an input of the model."""
    shape = tuple(tensor.shape[2:])
    rows = array[None] if array.shape == shape else array
    if rows.shape != (steps, *shape):
        wanted = f"{shape} for one step or {(steps, *shape)} for {steps}"
        raise ValueError(f"{tensor.name!r} must have the shape {wanted}; received {array.shape}.")
    return rows[None]
