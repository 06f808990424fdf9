"""`to_tflite`: from a Keras model to a verified folder of device files."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
from numpy.typing import ArrayLike

from export import recipes, source, targets
from export.adaptation import Adaptation, adaptation_of, adaptive_data, checked_calibration
from export.calibration import (
    calibration_warnings,
    closed_loop_samples,
    constant_tensor_warnings,
)
from export.convert import convert, converter
from export.data import Data, as_arrays, as_sequences, as_whole_sequences, noise
from export.evaluation_data import evaluation_pair
from export.forms.adaptive_readout import delay_of
from export.forms.form import Form
from export.forms.model_graph import ModelGraph, read_graph
from export.forms.refusals import NoStepFormError
from export.forms.sequence import to_sequence
from export.forms.step import Step, to_step
from export.readout_pair import READOUT_FILE, readout_pair
from export.recipes import Recipe
from export.remedies import remedies, remedies_of_pair
from export.targets import SEQUENCE, Target
from export.tflite_file import flatbuffer
from export.tflite_file.layout import tensor_layout
from export.verification.failed_report import remove_failed_report, write_failed_report
from export.verification.provenance import model_sha256
from export.verification.report import Report, VerificationError
from export.verification.report_files import write_report
from export.verification.verify import VERIFICATION_STEPS, verify
from lnn_keras.adapt.linear_method import LinearMethod
from lnn_keras.argument_checks import require_at_least
from lnn_keras.atomic_folder import require_replaceable, whole_folder


def to_tflite(
    model: keras.Model,
    directory: str | Path,
    *,
    target: str | Target = "micro",
    recipe: str | Recipe = "int8",
    calibration: Data | None = None,
    evaluation: Data | tuple[Data, ArrayLike] | None = None,
    adapt: str | LinearMethod | Adaptation | None = None,
    steps: int = VERIFICATION_STEPS,
    reset: bool = False,
    tolerance: float | None = None,
    metric_tolerance: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Export a model for a device, verify the file against Keras, and write it.

    The model becomes one time step with its states as inputs and outputs; for phones the file
    also has a signature for whole sequences. Integer recipes are calibrated on the states of the
    float model in closed loop. The file then runs on every runtime of the target, with its
    states fed back, and is compared with Keras.
    The folder has model.tflite, source code that runs it on the device, report.json and
    report.html. It is written atomically, after verification. If verification fails, the two
    reports are written to a folder with ".failed" behind its name.

    A model that has no step form, because a layer looks at a whole sequence, becomes a file for
    phones with the signature `sequence` only, in a float recipe.

    Args:
        model: Any built Sequential or Functional model of RNN layers (of Keras or `lnn_keras`),
            causal Conv1D, layers and operations that act on each time step independently, and
            any layers after the last step x[:, -1]; nested models too. It is not changed.
            Quantizers of `compress.quantize_aware` are left out.
        directory: The folder to write; one written before is replaced.
        target: "micro" or "phone".
        recipe: "float32", "int8" or "int16x8"; for phones also "float16" and "dynamic".
        calibration: Typical sequences (batch, time, features) or (time, features), by input name
            if there are several, or a tf.data.Dataset of such. Required for int8 and int16x8.
        evaluation: Sequences to verify on, or a pair of them and their true outputs; by default
            the calibration data.
        adapt: How the readout keeps learning on the device: "readout" for recursive least squares
            from targets that come one call after their prediction, a method of `lnn_keras.adapt`,
            or an `Adaptation`. The file gets an input `target`, and its states hold what was
            learned. In recipes int8 and int16x8 the readout is a second file in float32,
            readout.tflite, after model.tflite. `evaluation` must be a pair.
        steps: Largest number of closed-loop steps to verify.
        reset: Whether the device resets the states before each sequence, as for recordings that
            have nothing to do with each other. By default the states run on through all sequences.
        tolerance: Largest accepted RMS error of the outputs, relative to their standard
            deviation; by default the recipe's.
        metric_tolerance: Largest accepted relative loss of the mean squared error against true
            outputs; by default the recipe's.
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
    adaptation = adaptation_of(adapt)
    recipe, target = recipes.get(recipe), targets.get(target)
    _require_interpreter(target)
    recipe = recipes.with_tolerances(recipe, tolerance, metric_tolerance)
    require_at_least(2, "steps", steps)
    require_arguments(target, recipe, calibration)
    pair, given_model = None, model
    if adaptation is not None:
        given = checked_calibration(model, calibration)
        data = adaptive_data(model, adaptation, evaluation)
        if recipe.is_integer and given is not None:
            pair = readout_pair(model, adaptation, data)
            model, calibration, evaluation = pair.body, pair.renamed(given), pair.body_inputs
        else:
            model, calibration, evaluation = data.model, data.inputs, data[1:]
    previous = files_of_last_export(directory)
    require_replaceable(directory, proof="report.json", replaceable=previous)
    # It loads TensorFlow while the first stages run.
    converter.start()
    forms = forms_of(model, target, recipe)
    check = as_whole_sequences if forms.step is None else as_arrays
    arrays = None if calibration is None else check(forms.graph, calibration)
    inputs, true_outputs = evaluation_pair(forms.graph, forms.step, evaluation, arrays)
    sequences = None
    if forms.step is not None and arrays is not None:
        sequences = as_sequences(forms.step, arrays)

    with whole_folder(directory, proof="report.json", replaceable=previous) as folder:
        samples, warnings = [], ()
        if recipe.is_integer and forms.step is not None and sequences is not None:
            report_progress("Calibrating in closed loop")
            samples = closed_loop_samples(forms.step, sequences)
        report_progress(f"Converting to {recipe.name}")
        content = convert(forms.step, recipe, target, samples, forms.sequence)
        if recipe.is_integer and forms.step is not None and sequences is not None:
            warnings = (
                *calibration_warnings(forms.step, sequences, samples, recipe),
                *constant_tensor_warnings(content, samples),
            )
        contents = {"model.tflite": content}
        if pair is not None:
            contents[READOUT_FILE] = pair.convert_readout(target)
        report_progress("Verifying against Keras on every runtime")
        if pair is not None:
            report = pair.verify(content, contents[READOUT_FILE], target, recipe, steps, reset)
        else:
            report = verify(
                model,
                content,
                inputs,
                true_outputs,
                target=target,
                recipe=recipe,
                steps=steps,
                reset=reset,
            )
        # The digest is that of the user's model, also if the file has an adaptive readout.
        report = replace(
            report,
            warnings=(*warnings, *report.warnings),
            model_sha256=model_sha256(given_model),
        )
        if not report.passed:
            report = replace(
                report,
                remedies=remedies_of_pair(report, target, recipe)
                if pair
                else remedies(
                    report, model, target, recipe, arrays, (inputs, true_outputs), steps, reset
                ),
            )
            failed = write_failed_report(report, directory)
            raise VerificationError(report, failed)
        texts, layout = _source_files(forms, content, recipe, target, sequences)
        if pair is not None:
            readout_texts = pair.source_files(contents[READOUT_FILE], target)
            texts = {n: texts.get(n, "") + readout_texts.get(n, "") for n in texts | readout_texts}
        names = (*contents, *texts, "report.json", "report.html")
        report = replace(
            report, layout=layout, files={name: str(Path(directory) / name) for name in names}
        )
        report_progress("Writing")
        remove_failed_report(directory)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        write_report(folder, report, texts)
    return report


@dataclass(frozen=True)
class Forms:
    """The forms of a model that a file holds; at least one."""

    graph: ModelGraph
    step: Step | None
    sequence: Form | None


def forms_of(model: keras.Model, target: Target, recipe: Recipe) -> Forms:
    """The forms of a model for a target and a recipe.

    Raises:
        ValueError: The model has a layer that the target or the recipe cannot take.
    """
    graph = read_graph(model)
    # The converter cannot calibrate ranges within a loop, so integer files have only the step.
    takes_sequences = SEQUENCE in target.forms and not recipe.is_integer
    try:
        step = to_step(model, fold_scaling=recipe.is_integer)
    except NoStepFormError as error:
        if takes_sequences:
            return Forms(graph, None, to_sequence(model))
        if SEQUENCE in target.forms:
            raise ValueError(
                f"{error} Recipe {recipe.name!r} needs a form for single steps; use 'float32', "
                "'float16' or 'dynamic'."
            ) from error
        raise
    return Forms(graph, step, to_sequence(model) if takes_sequences else None)


def files_of_last_export(directory: str | Path) -> frozenset[str]:
    """The names in a folder that may be replaced: the files that the last export to it wrote.

    A folder in it is one of them if it holds only such files.
    """
    try:
        report = json.loads((Path(directory) / "report.json").read_text())
        files = frozenset(report["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
    folders = {Path(name).parts[0] for name in files if len(Path(name).parts) > 1}
    built = {"build"} if "Makefile" in files else set()  # where make puts its results
    foreign = {
        folder
        for folder in folders
        for path in (Path(directory) / folder).rglob("*")
        if path.is_file() and path.relative_to(directory).as_posix() not in files
    }
    return (files | folders | built) - foreign


def _source_files(forms, content, recipe, target, sequences):
    """The texts of source files by name, and the layout of the file's tensors."""
    if forms.step is None:
        return source.sequence_files(content, forms.graph.name, recipe), ()
    step = forms.step
    layout = tensor_layout(flatbuffer.read_signature(content), step)
    if sequences is None:
        sequences = as_sequences(step, noise(forms.graph.model, source.RECORDED_STEPS))
    device_file = source.DeviceFile(
        content,
        layout,
        model=step.name,
        recipe=recipe.name,
        recording=source.record(content, step, sequences) if target.batch == 1 else None,
        has_sequence=forms.sequence is not None,
        window=step.window,
        runtime=recipe.runtime,
        delay=delay_of(forms.graph),
    )
    return source.source_files(target.name, device_file), layout


def require_arguments(target: Target, recipe: Recipe, calibration: Any) -> None:
    """Raise a ValueError if the arguments of `to_tflite` do not fit together."""
    if recipe.name not in target.recipes:
        raise ValueError(
            f"Target {target.name!r} does not take recipe {recipe.name!r}; "
            f"allowed: {', '.join(target.recipes)}."
        )
    require_tensorflow()
    if recipe.is_integer and calibration is None:
        raise ValueError(f"Recipe {recipe.name!r} needs `calibration` data; received None.")


def _require_interpreter(target: Target) -> None:
    if target.name == "c":
        raise ValueError(
            "Target 'c' is C source, which export.to_c(model, directory, ...) writes; to_tflite "
            "takes 'micro' and 'phone'."
        )


def require_tensorflow() -> None:
    """Raise a ValueError if Keras runs on another backend."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Export needs the TensorFlow backend of Keras; received {keras.backend.backend()!r}. "
            "Load the saved model under KERAS_BACKEND=tensorflow."
        )
