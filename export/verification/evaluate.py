"""A file's predictions and its task metric, each sequence from its initial state."""

from collections.abc import Callable, Sequence

import keras
import numpy as np

from export import runtimes, targets
from export.data import as_sequences
from export.forms.step import Step
from export.forms.supported_layers import as_functional
from export.runtimes import Rollout, Runtime
from export.runtimes.stepper import steppers


def predict_file(
    content: bytes,
    model: keras.Model,
    inputs,
    runtime_names: Sequence[str] = (targets.XNNPACK, targets.MICRO),
) -> dict[str, np.ndarray]:
    """A file's predictions, by runtime, each sequence from its initial state.

    Args:
        content: The bytes of the .tflite file.
        model: The Keras model that the file was made of, with one output.
        inputs: Sequences (batch, time, features), by input name if there are several.
        runtime_names: The runtimes to run; those that the file's target has not, or that
            have no wheel here, are left out.

    Returns:
        By runtime, what `model.predict` gives: (batch, time, ...) or (batch, ...).

    Raises:
        ValueError: The file does not fit the model, or the data do not.
        RuntimeError: A runtime refuses the file.
    """
    found = {}
    for stepper in steppers(content, model, runtime_names):
        sequences = as_sequences(stepper.step, inputs, "inputs")
        found[stepper.name] = _predict(stepper.runtime, model, stepper.step, sequences)
    return found


def evaluate_file(
    content: bytes,
    model: keras.Model,
    inputs,
    true_outputs: np.ndarray,
    metric: Callable[[np.ndarray, np.ndarray], float] | None = None,
) -> dict[str, float]:
    """A metric of a file's predictions, by runtime; see `predict_file`.

    Args:
        content: The bytes of the .tflite file.
        model: The Keras model that the file was made of, with one output.
        inputs: Sequences (batch, time, features), by input name if there are several.
        true_outputs: True outputs, of the shape of the model's own.
        metric: From true outputs and predictions to a number; mean squared error by default.

    Raises:
        ValueError: The file does not fit the model, or the data do not.
        RuntimeError: A runtime refuses the file.
    """
    metric = metric or _mean_squared_error
    predictions = predict_file(content, model, inputs)
    return {name: float(metric(true_outputs, values)) for name, values in predictions.items()}


class TrueOutputs:
    """True outputs beside sequences, and the error of a runtime against them.

    Raises:
        ValueError: The model has several outputs, or the shape is not that of its outputs.
    """

    def __init__(
        self,
        model: keras.Model,
        step: Step,
        sequences: dict[str, np.ndarray],
        true_outputs: np.ndarray,
    ):
        if len(step.outputs) != 1:
            raise ValueError(f"`true_outputs` need one output; there are {len(step.outputs)}.")
        self._model, self._step, self._sequences = model, step, sequences
        self._every_step = _gives_every_step(model)
        batch, time, _ = next(iter(sequences.values())).shape
        features = step.model.output[step.outputs[0]].shape[1:]
        values = np.asarray(true_outputs)
        if self._every_step and values.ndim == len(features) + 1 and batch == 1:
            values = values[np.newaxis]
        expected = (batch, time, *features) if self._every_step else (batch, *features)
        # Rows that make no whole step at the end of a sequence have no output.
        if self._every_step and values.ndim > 1 and time <= values.shape[1] <= time + 1:
            values = values[:, :time]
        if values.shape != expected:
            raise ValueError(
                f"The true outputs must have shape {expected}, one for each output of the model; "
                f"received {np.shape(true_outputs)}."
            )
        self._values = values

    def error(self, runtime: Runtime, rolled: Rollout) -> float:
        """The mean squared error of the rollout, or of each sequence's last step."""
        if not self._every_step:
            predictions = _predict(runtime, self._model, self._step, self._sequences)
            return _mean_squared_error(self._values, predictions)
        (outputs,) = rolled.outputs.values()
        values = self._values.reshape(-1, *outputs.shape[1:])[: len(outputs)]
        return _mean_squared_error(values, outputs)


def _mean_squared_error(true_outputs, outputs):
    return float(np.mean((outputs.astype("float64") - true_outputs) ** 2))


def _gives_every_step(model):
    return len(as_functional(model).outputs[0].shape) == 3


def _predict(runtime, model, step, sequences):
    initial = {state.name: state.initial for state in step.states}
    ((name, values),) = runtimes.predict(runtime, sequences, initial).items()
    values = step.scalings[name].to_real(values)
    return values if _gives_every_step(model) else values[:, -1]
