"""Predictions of a file and their task metric, with each sequence from its initial states."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from export import targets
from export.artifact import Artifact, require_readable, signature_names
from export.data import Data, as_sequences, as_whole_sequences
from export.forms.model_graph import read_graph
from export.forms.step import Step
from export.runtimes.rollout import rollout
from export.runtimes.sequences import run_sequence
from export.runtimes.stepper import steppers
from export.targets import BUILT_IN, STEP, XNNPACK
from export.tflite_file.interface import require_same_sequence


def predict_file(
    content: Artifact,
    model: keras.Model,
    inputs: Data,
    runtime_names: Sequence[str] = (targets.XNNPACK, targets.MICRO, targets.C),
) -> dict[str, np.ndarray]:
    """Return a file's predictions by runtime, with each sequence from its initial states.

    Args:
        content: The bytes of the .tflite file, or a `CModel`.
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
    require_readable(content)
    if STEP not in signature_names(content):
        return _predict_sequences(content, model, inputs, runtime_names)
    predictions = {}
    for stepper in steppers(content, model, runtime_names):
        step = stepper.step
        sequences = as_sequences(step, inputs, "inputs")
        ((name, values),) = rollout(stepper.runtime, sequences, step.initial_states).outputs.items()
        real = step.scalings[name].to_real(values)
        predictions[stepper.name] = real if name in step.sequences else real[:, -1]
    return predictions


def _predict_sequences(content, model, inputs, runtime_names):
    graph = read_graph(model)
    require_same_sequence(content, graph)
    (output,) = graph.outputs
    arrays = as_whole_sequences(graph, inputs, "inputs")
    return {
        name: run_sequence(content, arrays, xnnpack=name == XNNPACK)[output]
        for name in runtime_names
        if name in (XNNPACK, BUILT_IN)
    }


def evaluate_file(
    content: Artifact,
    model: keras.Model,
    inputs: Data,
    true_outputs: np.ndarray,
    metric: Callable[[np.ndarray, np.ndarray], float] | None = None,
) -> dict[str, float]:
    """Return a metric of a file's predictions by runtime; see `predict_file`.

    Args:
        content: The bytes of the .tflite file, or a `CModel`.
        model: The Keras model that the file was made of, with one output.
        inputs: Sequences (batch, time, features), by input name if there are several.
        true_outputs: True outputs, with the shape of the model's outputs.
        metric: Function of true outputs and predictions; mean squared error by default.

    Raises:
        ValueError: The file or the data do not fit the model.
        RuntimeError: A runtime rejects the file.
    """
    metric = metric or mean_squared_error
    predictions = predict_file(content, model, inputs)
    return {name: float(metric(true_outputs, values)) for name, values in predictions.items()}


class TrueOutputs:
    """The true outputs of sequences, in the order of a rollout's outputs.

    Args:
        step: The step form of a model with one output.
        sequences: Inputs by name, as `as_sequences` returns them.
        true_outputs: True outputs, with the shape of the model's outputs.

    Raises:
        ValueError: The model has several outputs, or the shape differs from that of its output.
    """

    def __init__(self, step: Step, sequences: dict[str, np.ndarray], true_outputs: ArrayLike):
        require_one_output(step.outputs)
        (name,) = step.outputs
        self._every_step = name in step.sequences
        batch, time, _ = next(iter(sequences.values())).shape
        values = np.asarray(true_outputs)
        shape = step.graph.outputs[name].shape
        if not self._every_step:
            expected = (batch, *shape[1:])
        else:
            expected = (batch, time, *shape[2:])
            values = self._in_windows(values, batch, time, len(shape))
        if values.shape != expected:
            raise ValueError(
                f"The true outputs must have shape {expected}, one for each output of the model; "
                f"received {np.shape(true_outputs)}."
            )
        # Of a single sequence, a rollout has the outputs of all steps.
        self._only_last = not self._every_step and batch == 1
        self.values = values.reshape(-1, *values.shape[2:]) if self._every_step else values

    @staticmethod
    def _in_windows(values: Any, batch: int, time: int, rank: int) -> Any:
        """True outputs of each step, cut as `as_sequences` cuts the inputs."""
        if values.ndim == rank - 1:
            values = values[np.newaxis]
        if values.ndim != rank or not values.shape[1]:
            return values
        # An incomplete step or window at the end has no output.
        windows = max(1, values.shape[1] // time)
        if values.shape[1] - windows * time < time and len(values) * windows == batch:
            values = values[:, : windows * time].reshape(-1, time, *values.shape[2:])
        return values

    def error(self, outputs: dict[str, np.ndarray]) -> float:
        """Return the mean squared error of a rollout's outputs (n, ...)."""
        (values,) = outputs.values()
        if self._only_last:
            values = values[-1:]
        return mean_squared_error(self.values[: len(values)], values)


def require_one_output(outputs: Sequence[str]) -> None:
    """Raise a ValueError if a model has several outputs."""
    if len(outputs) != 1:
        raise ValueError(f"`true_outputs` need one output; there are {len(outputs)}.")


def mean_squared_error(true_outputs: np.ndarray, outputs: np.ndarray) -> float:
    """Return the mean squared difference."""
    return float(np.mean((outputs.astype("float64") - true_outputs) ** 2))
