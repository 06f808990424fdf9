"""The whole way from a Keras model to a verified folder of device files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from export import flatbuffer, source
from export.calibration import as_sequences, closed_loop_samples
from export.convert import convert
from export.folder import whole_folder
from export.layout import tensor_layout
from export.recipes import Recipe
from export.recipes import get as get_recipe
from export.report import Report, VerificationError
from export.sequence import to_sequence
from export.step import to_step
from export.targets import SEQUENCE, Target
from export.targets import get as get_target
from export.verify import verify


def to_tflite(
    model: keras.Model,
    directory: str | Path,
    *,
    target: str | Target = "micro",
    recipe: str | Recipe = "int8",
    calibration=None,
    evaluation=None,
    steps: int = 500,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Export a model for a device, prove that the file does what the model did, write it.

    The model becomes one time step with its state as input and output, is
    converted and quantized on the states that it visits on the calibration data,
    and runs against Keras on LiteRT and TFLite Micro with its state fed back.
    The folder then holds model.tflite, source code that runs it on the device, and
    report.json. It appears whole, after verification, or not at all.

    Args:
        model: Any built Sequential or Functional model whose layers are RNN layers
            (of Keras or `lnn_keras`) and layers that act on each time step alone.
        directory: The folder to write; one written before is replaced.
        target: "micro" or "phone".
        recipe: "float32", "int8" or "int16x8"; for phones "float16" and "dynamic" as well.
        calibration: Typical sequences (batch, time, features) or (time, features), by
            input name if there are several. int8 and int16x8 need them.
        evaluation: Sequences to verify on, or a pair of them and their true outputs;
            by default the calibration data.
        steps: Most closed-loop steps to verify.
        progress: Called with a sentence before each stage.

    Raises:
        ValueError: Unknown target or recipe, a layer without a step form, an operation
            that the target lacks, data of a wrong shape or not finite.
        OSError: The folder cannot be written.
        VerificationError: The file is outside the recipe's tolerance.
    """
    tell = progress or (lambda sentence: None)
    recipe, target = get_recipe(recipe), get_target(target)
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
    step = to_step(model, fold_scaling=recipe.is_integer)
    # The converter cannot measure ranges within a loop, so integers step.
    with_sequence = SEQUENCE in target.forms and not recipe.is_integer
    sequence = to_sequence(model) if with_sequence else None
    if recipe.is_integer and calibration is None:
        raise ValueError(f"Recipe {recipe.name!r} needs `calibration` data; received None.")
    sequences = None if calibration is None else as_sequences(step, calibration)
    inputs, targets = _evaluation_pair(evaluation, calibration)

    with whole_folder(directory) as folder:
        samples = []
        if recipe.is_integer:
            tell("Calibrating on the states that the model visits")
            samples = closed_loop_samples(step, sequences)
        tell(f"Converting to {recipe.name}")
        content = convert(step, recipe, target, samples, sequence)
        tell("Verifying against Keras on every runtime")
        report = verify(model, content, inputs, targets, target=target, recipe=recipe, steps=steps)
        if not report.passed:
            raise VerificationError(report)
        layout = tensor_layout(flatbuffer.read_signature(content), step)
        device_file = source.DeviceFile(
            content,
            layout,
            model=model.name,
            recipe=recipe.name,
            arena_bytes=report.arena_bytes,
            recording=source.record(content, step, sequences) if target.batch == 1 else None,
            has_sequence=sequence is not None,
        )
        texts = source.source_files(target.name, device_file)
        report = replace(
            report,
            layout=layout,
            files={
                name: str(Path(directory) / name)
                for name in ("model.tflite", *texts, "report.json")
            },
        )
        tell("Writing")
        (folder / "model.tflite").write_bytes(content)
        for name, text in texts.items():
            (folder / name).write_text(text)
        report.save(folder / "report.json")
    return report


def _evaluation_pair(evaluation, calibration):
    if evaluation is None:
        return calibration, None
    if isinstance(evaluation, tuple):
        inputs, targets = evaluation
        return inputs, np.asarray(targets)
    return evaluation, None
