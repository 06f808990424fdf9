"""`to_tflite`: from a Keras model to a verified folder of device files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import ArrayLike

from export import recipes, source, targets
from export.calibration import (
    closed_loop_samples,
    constant_tensor_warnings,
    data_warnings,
    state_warnings,
)
from export.convert import convert, converter
from export.data import Data, as_sequences, noise
from export.forms.sequence import to_sequence
from export.forms.step import to_step
from export.recipes import Recipe
from export.targets import SEQUENCE, Target
from export.tflite_file import flatbuffer
from export.tflite_file.layout import tensor_layout
from export.verification.report import Report, VerificationError
from export.verification.report_html import report_page
from export.verification.verify import VERIFICATION_STEPS, verify
from lnn_keras.atomic_folder import whole_folder


def to_tflite(
    model: keras.Model,
    directory: str | Path,
    *,
    target: str | Target = "micro",
    recipe: str | Recipe = "int8",
    calibration: Data | None = None,
    evaluation: Data | tuple[Data, ArrayLike] | None = None,
    steps: int = VERIFICATION_STEPS,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Export a model for a device, verify the file against Keras, and write it.

    The model becomes one time step with its states as inputs and outputs; for phones the file
    also has a signature for whole sequences. Integer recipes are calibrated on the states of the
    float model in closed loop. The file then runs on every runtime of the target, with its
    states fed back, and is compared with Keras.
    The folder has model.tflite, source code that runs it on the device, report.json and
    report.html. It is written atomically, after verification.

    Args:
        model: Any built Sequential or Functional model whose layers are RNN layers (of Keras or
            `lnn_keras`), causal Conv1D, and layers that act on each time step independently.
            Quantizers of `compress.quantize_aware` are left out.
        directory: The folder to write; one written before is replaced.
        target: "micro" or "phone".
        recipe: "float32", "int8" or "int16x8"; for phones also "float16" and "dynamic".
        calibration: Typical sequences (batch, time, features) or (time, features), by input name
            if there are several. Required for int8 and int16x8.
        evaluation: Sequences to verify on, or a pair of them and their true outputs; by default
            the calibration data.
        steps: Largest number of closed-loop steps to verify.
        progress: Called with a sentence before each stage.

    Returns:
        The report of the verification.

    Raises:
        ValueError: Unknown target or recipe, a layer without a step form, an operation that the
            target lacks, data of a wrong shape or not finite.
        OSError: The folder cannot be written.
        VerificationError: The file is outside the recipe's tolerance.
    """
    report_progress = progress or (lambda sentence: None)
    recipe, target = recipes.get(recipe), targets.get(target)
    _require_arguments(model, target, recipe, calibration)
    # It loads TensorFlow while this process builds and calibrates the step.
    converter.start()
    step = to_step(model, fold_scaling=recipe.is_integer)
    # The converter cannot calibrate ranges within a loop, so integer files have only the step.
    with_sequence = SEQUENCE in target.forms and not recipe.is_integer
    sequence = to_sequence(model) if with_sequence else None
    sequences = None if calibration is None else as_sequences(step, calibration)
    inputs, true_outputs = _evaluation_pair(evaluation, calibration)

    with whole_folder(directory, proof="report.json") as folder:
        samples, warnings = [], ()
        if recipe.is_integer and sequences is not None:
            report_progress("Calibrating in closed loop")
            samples = closed_loop_samples(step, sequences)
        report_progress(f"Converting to {recipe.name}")
        content = convert(step, recipe, target, samples, sequence)
        if recipe.is_integer and sequences is not None:
            warnings = (
                *data_warnings(step, sequences, recipe),
                *state_warnings(step, samples),
                *constant_tensor_warnings(content, samples),
            )
        report_progress("Verifying against Keras on every runtime")
        report = verify(
            model, content, inputs, true_outputs, target=target, recipe=recipe, steps=steps
        )
        report = replace(report, warnings=(*warnings, *report.warnings))
        if not report.passed:
            raise VerificationError(report)
        layout = tensor_layout(flatbuffer.read_signature(content), step)
        recorded = noise(model, step, source.RECORDED_STEPS) if sequences is None else sequences
        device_file = source.DeviceFile(
            content,
            layout,
            model=model.name,
            recipe=recipe.name,
            arena_bytes=report.arena_bytes,
            recording=source.record(content, step, recorded) if target.batch == 1 else None,
            has_sequence=sequence is not None,
        )
        texts = source.source_files(target.name, device_file)
        names = ("model.tflite", *texts, "report.json", "report.html")
        report = replace(
            report, layout=layout, files={name: str(Path(directory) / name) for name in names}
        )
        report_progress("Writing")
        (folder / "model.tflite").write_bytes(content)
        for name, text in (texts | {"report.html": report_page(report)}).items():
            (folder / name).write_text(text)
        report.save(folder / "report.json")
    return report


def _require_arguments(model, target, recipe, calibration):
    """Raise a ValueError if the arguments of `to_tflite` do not fit together."""
    if recipe.name not in target.recipes:
        raise ValueError(
            f"Target {target.name!r} does not take recipe {recipe.name!r}; "
            f"allowed: {', '.join(target.recipes)}."
        )
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Export needs the TensorFlow backend of Keras; received {keras.backend.backend()!r}. "
            "Load the saved model under KERAS_BACKEND=tensorflow."
        )
    if recipe.is_integer and calibration is None:
        raise ValueError(f"Recipe {recipe.name!r} needs `calibration` data; received None.")
    batch = model.inputs[0].shape[0] if getattr(model, "inputs", None) else None
    if target.batch is not None and batch not in (None, target.batch):
        raise ValueError(
            f"Model {model.name!r} has a fixed batch of {batch} (stateful layers need one); "
            f"target {target.name!r} runs {target.batch}. Build it with a batch of "
            f"{target.batch} or None and load the same weights."
        )


def _evaluation_pair(evaluation, calibration):
    if evaluation is None:
        return calibration, None
    if isinstance(evaluation, tuple):
        inputs, true_outputs = evaluation
        return inputs, np.asarray(true_outputs)
    return evaluation, None
