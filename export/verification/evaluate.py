"""Predictions of a file and their task metric, with each sequence from its initial states."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from export import targets
from export.data import Data, as_sequences
from export.forms.step import Step
from export.forms.supported_layers import as_functional
from export.runtimes.rollout import Rollout, Runtime, predict
from export.runtimes.stepper import steppers


def predict_file(
    content: bytes,
    model: keras.Model,
    inputs: Data,
    runtime_names: Sequence[str] = (targets.XNNPACK, targets.MICRO),
) -> dict[str, np.ndarray]:
    """Return a file's predictions by runtime, with each sequence from its initial states.

    Args:
        content: The bytes of the .tflite file.
        model: The Keras model that the file was made of, with one output.
        inputs: Sequences (batch, time, features), by input name if there are several.
        runtime_names: The runtimes to use. Those that the file's target lacks, or that have no
            wheel on this platform, are skipped.

    Returns:
        By runtime, an array with the shape of `model.predict`: (batch, time, ...) or
        (batch, ...).

    Raises:
        ValueError: The file or the data do not fit the model.
        RuntimeError: A runtime rejects the file.
    """
    predictions = {}
    for stepper in steppers(content, model, runtime_names):
        sequences = as_sequences(stepper.step, inputs, "inputs")
        predictions[stepper.name] = _predict(stepper.runtime, model, stepper.step, sequences)
    return predictions


def evaluate_file(
    content: bytes,
    model: keras.Model,
    inputs: Data,
    true_outputs: np.ndarray,
    metric: Callable[[np.ndarray, np.ndarray], float] | None = None,
) -> dict[str, float]:
    """Return a metric of a file's predictions by runtime; see `predict_file`.

    Args:
        content: The bytes of the .tflite file.
        model: The Keras model that the file was made of, with one output.
        inputs: Sequences (batch, time, features), by input name if there are several.
        true_outputs: True outputs, with the shape of the model's outputs.
        metric: Function of true outputs and predictions; mean squared error by default.

    Raises:
        ValueError: The file or the data do not fit the model.
        RuntimeError: A runtime rejects the file.
    """
    metric = metric or _mean_squared_error
    predictions = predict_file(content, model, inputs)
    return {name: float(metric(true_outputs, values)) for name, values in predictions.items()}


class TrueOutputs:
    """The true outputs of sequences, and the error of a runtime against them.

    Args:
        model: The original model, with one output.
        step: Its step form.
        sequences: Inputs by name, as `as_sequences` returns them.
        true_outputs: True outputs, with the shape of the model's outputs.

    Raises:
        ValueError: The model has several outputs, or the shape differs from that of its output.
    """

    def __init__(
        self,
        model: keras.Model,
        step: Step,
        sequences: dict[str, np.ndarray],
        true_outputs: ArrayLike,
    ):
        if len(step.outputs) != 1:
            raise ValueError(f"`true_outputs` need one output; there are {len(step.outputs)}.")
        self._model, self._step, self._sequences = model, step, sequences
        self._every_step = _returns_every_step(model)
        batch, time, _ = next(iter(sequences.values())).shape
        step_outputs: Any = step.model.output
        features = step_outputs[step.outputs[0]].shape[1:]
        values = np.asarray(true_outputs)
        if self._every_step and values.ndim == len(features) + 1 and batch == 1:
            values = values[np.newaxis]
        expected = (batch, time, *features) if self._every_step else (batch, *features)
        # An incomplete step at the end of a sequence has no output.
        if self._every_step and values.ndim > 1 and time <= values.shape[1] <= time + 1:
            values = values[:, :time]
        if values.shape != expected:
            raise ValueError(
                f"The true outputs must have shape {expected}, one for each output of the model; "
                f"received {np.shape(true_outputs)}."
            )
        self._values = values

    def error(self, runtime: Runtime, rolled: Rollout) -> float:
        """Return the mean squared error of the rollout, or of each sequence's last step."""
        if not self._every_step:
            predictions = _predict(runtime, self._model, self._step, self._sequences)
            return _mean_squared_error(self._values, predictions)
        (outputs,) = rolled.outputs.values()
        values = self._values.reshape(-1, *outputs.shape[1:])[: len(outputs)]
        return _mean_squared_error(values, outputs)


def _mean_squared_error(true_outputs, outputs):
    return float(np.mean((outputs.astype("float64") - true_outputs) ** 2))


def _returns_every_step(model):
    return len(as_functional(model).outputs[0].shape) == 3


def _predict(runtime, model, step, sequences):
    ((name, values),) = predict(runtime, sequences, step.initial_states).items()
    values = step.scalings[name].to_real(values)
    return values if _returns_every_step(model) else values[:, -1]
