"""Checks that the step form, and a file's signature `sequence`, match the original model."""

from typing import Any

import keras
import numpy as np

from export.forms.model_graph import ModelGraph
from export.forms.rnn_layers import is_rnn, without_state
from export.runtimes.sequences import run_sequence
from export.verification.error_metrics import relative_rms
from export.verification.report import RuntimeResult, percent

STEP_FORM_TOLERANCE = 1e-5


def model_outputs(graph: ModelGraph, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the original model's outputs (batch, ...) on sequences (batch, time, ...), by name.

    The layers are called as Keras calls them. Stateful layers start from their initial states
    and keep the states that they have.
    """
    import tensorflow as tf

    def call(entry, *args, **kwargs):
        layer = entry.layer
        return (without_state(layer) if is_rnn(layer) else layer)(*args, **kwargs)

    # Traced, because an eager loop over 1,000 steps takes many seconds.
    @tf.function(autograph=False)
    def run(inputs):
        # Layers that count their calls, for instance, keep their variables.
        with keras.StatelessScope():
            return graph.evaluate(inputs, call)

    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    # A call of `run` itself would count as retracing, of which TensorFlow warns.
    outputs: Any = run.get_concrete_function(tensors)(tensors)
    return {name: value.numpy() for name, value in outputs.items()}


def step_form_failures(
    expected: dict[str, np.ndarray],
    stepped: dict[str, np.ndarray],
    sequences: frozenset[str],
    floor: float,
) -> list[str]:
    """Return where the step form differs from the model, one sentence per output.

    Args:
        expected: Outputs of `model_outputs`, (batch, time, ...) or (batch, ...).
        stepped: Outputs of the step form after each step, (batch, time, ...).
        sequences: Names of the outputs that the model returns for each step.
        floor: Error that float32 rounding explains.
    """
    failures = []
    for name, values in expected.items():
        every = _flat(stepped[name])
        compared = every if name in sequences else stepped[name][:, -1]
        values = _flat(values) if name in sequences else values
        # If there is one sequence, only its steps give the variation of a last step.
        scale = values if len(values) > 1 else every
        difference = relative_rms(compared, values, scale)
        if not difference <= STEP_FORM_TOLERANCE + floor:
            failures.append(
                f"Output {name!r} of the step form differs from the model's by "
                f"{percent(difference)}."
            )
    return failures


def sequence_result(
    content: bytes,
    inputs: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    scales: dict[str, np.ndarray],
    floor: float,
) -> RuntimeResult:
    """Return the error of a file's signature `sequence`.

    Args:
        content: The .tflite file.
        inputs: Sequences (batch, time, ...) by name.
        expected: Outputs of `model_outputs`.
        scales: By name, values (n, ...) that give an output's variation.
        floor: Error that float32 rounding explains.
    """
    outputs = run_sequence(content, inputs)
    errors = []
    for name, values in expected.items():
        scale = scales[name]
        reference = values.reshape(-1, *scale.shape[1:])
        errors.append(relative_rms(outputs[name].reshape(reference.shape), reference, scale))
    return RuntimeResult("LiteRT, sequence", output_error=max(errors), rounding=floor)


def _flat(values):
    return values.reshape(-1, *values.shape[2:])
