"""Checks that the step form, and a file's signature `sequence`, match the original model."""

from typing import Any

import keras
import numpy as np

from export.data import real_rows
from export.forms.step import Step
from export.forms.supported_layers import as_functional
from export.runtimes.litert import make_interpreter
from export.runtimes.rollout import Rollout
from export.targets import SEQUENCE
from export.verification.error_metrics import relative_rms
from export.verification.report import RuntimeResult, percent

STEP_FORM_TOLERANCE = 1e-5


def model_outputs(
    model: keras.Model, step: Step, rows: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the original model's outputs (time, ...) on the rows as one sequence, by name.

    If the model's inputs have a fixed length, only that many rows are used.
    """
    import tensorflow as tf

    functional = as_functional(model)
    flat = [
        tf.constant(values[np.newaxis])
        for values in _sequence_inputs(functional, step, rows).values()
    ]

    # Traced, because an eager loop over 1,000 steps takes many seconds.
    @tf.function(autograph=False)
    def run(*flat):
        return functional(keras.tree.pack_sequence_as(functional.input, flat), training=False)

    outputs: list[Any] = [keras.ops.convert_to_numpy(v) for v in keras.tree.flatten(run(*flat))]
    return {name: output[0] for name, output in zip(step.outputs, outputs, strict=True)}


def step_form_failures(expected: dict[str, np.ndarray], rolled: Rollout) -> list[str]:
    """Return where the step form differs from the model, one sentence per output.

    Args:
        expected: Outputs of `model_outputs`.
        rolled: Rollout of the step form in Keras.
    """
    failures = []
    for name, values in expected.items():
        stepped = rolled.outputs[name]
        same_rank = values.ndim == stepped.ndim
        compared = stepped[: len(values)] if same_rank else stepped[-1]
        difference = _difference(compared, values, stepped)
        if not difference <= STEP_FORM_TOLERANCE:
            failures.append(
                f"Output {name!r} of the step form differs from the model's by "
                f"{percent(difference)}."
            )
    return failures


def sequence_result(
    content: bytes,
    model: keras.Model,
    step: Step,
    rows: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    rolled: Rollout,
) -> RuntimeResult:
    """Return the error of a file's signature `sequence` on the rows.

    Args:
        content: The .tflite file.
        model: The original model.
        step: Its step form.
        rows: Inputs of the steps.
        expected: Outputs of `model_outputs`.
        rolled: Rollout of the step form in Keras, which gives the outputs' variation.
    """
    inputs = _sequence_inputs(as_functional(model), step, rows)
    run = make_interpreter(content).get_signature_runner(SEQUENCE)
    outputs = run(**{name: values[np.newaxis] for name, values in inputs.items()})
    error = max(
        _difference(outputs[name][0], values, rolled.outputs[name])
        for name, values in expected.items()
    )
    return RuntimeResult(name="LiteRT, sequence", output_error=error)


def _difference(values, reference, stepped):
    """RMS error of an output, relative to its variation over time."""
    # If the model returns only its last step, only the steps give the variation.
    scale_of = reference if reference.ndim == stepped.ndim else stepped
    return relative_rms(values, reference, scale_of)


def _sequence_inputs(functional, step, rows):
    """The rows in the model's format: each input (time, features), or (time,)."""
    tensors = functional.inputs
    real = real_rows(step, rows)
    fixed = [tensor.shape[1] for tensor in tensors if tensor.shape[1] is not None]
    length = min([len(next(iter(real.values()))), *fixed])
    return {t.name: real[t.name][:length].reshape((length, *t.shape[2:])) for t in tensors}
