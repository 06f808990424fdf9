"""Whether a step, and a file's sequences, give what the model itself gives."""

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


def whole_outputs(
    model: keras.Model, step: Step, rows: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The model's own outputs (time, ...) on the rows as one sequence, by name.

    A model whose inputs have a fixed length runs on the first rows alone.
    """
    import tensorflow as tf

    functional = as_functional(model)
    flat = [
        tf.constant(values[np.newaxis])
        for values in _sequence_inputs(functional, step, rows).values()
    ]

    # Traced, since a loop over 1000 steps takes Python many seconds.
    @tf.function(autograph=False)
    def run(*flat):
        return functional(keras.tree.pack_sequence_as(functional.input, flat), training=False)

    arrays = [keras.ops.convert_to_numpy(value)[0] for value in keras.tree.flatten(run(*flat))]
    return dict(zip(step.outputs, arrays, strict=True))


def step_form_failures(whole: dict[str, np.ndarray], rolled: Rollout) -> list[str]:
    """Where the step form differs from the model, one sentence for each output."""
    failures = []
    for name, values in whole.items():
        stepped = rolled.outputs[name]
        same_rank = values.ndim == stepped.ndim
        given = stepped[: len(values)] if same_rank else stepped[-1]
        difference = _difference(given, values, stepped)
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
    whole: dict[str, np.ndarray],
    rolled: Rollout,
) -> RuntimeResult:
    """What the signature `sequence` of a file gives on the rows, beside the model."""
    inputs = _sequence_inputs(as_functional(model), step, rows)
    run = make_interpreter(content).get_signature_runner(SEQUENCE)
    outputs = run(**{name: values[np.newaxis] for name, values in inputs.items()})
    error = max(
        _difference(outputs[name][0], values, rolled.outputs[name])
        for name, values in whole.items()
    )
    return RuntimeResult(name="LiteRT, sequence", output_error=error)


def _difference(values, reference, stepped):
    """RMS error of an output as a share of what it varies by over time."""
    # Where the model gives its last step alone, what it varies by is known of the steps.
    scale_of = reference if reference.ndim == stepped.ndim else stepped
    return relative_rms(values, reference, scale_of)


def _sequence_inputs(functional, step, rows):
    """The rows as the model takes them: each input (time, features), or (time,)."""
    tensors = functional.inputs
    real = real_rows(step, rows)
    fixed = [tensor.shape[1] for tensor in tensors if tensor.shape[1] is not None]
    length = min([len(next(iter(real.values()))), *fixed])
    return {t.name: real[t.name][:length].reshape((length, *t.shape[2:])) for t in tensors}
