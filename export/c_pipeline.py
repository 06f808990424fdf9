"""`to_c`: from a Keras model to a verified folder of C source that needs no interpreter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import ArrayLike

from export import recipes, targets
from export.adaptation import Adaptation, adaptation_of, adaptive_data, checked_calibration
from export.c import layouts
from export.c.code.identifiers import require_prefix
from export.c.code.replay import REPLAY_STEPS, Replay, hash_of, recorded_rows, replay_files
from export.c.compile import c_model
from export.c.model import CModel
from export.c.project import project_files
from export.calibration import calibration_warnings, closed_loop_samples
from export.data import Data, as_arrays, as_sequences, noise
from export.evaluation_data import evaluation_pair
from export.forms.step import Step, to_step
from export.pipeline import files_of_last_export, require_arguments
from export.recipes import Recipe
from export.remedies import remedies
from export.runtimes.c_code import CCode
from export.runtimes.rollout import initial_inputs, stored_rows
from export.verification.failed_report import remove_failed_report, write_failed_report
from export.verification.provenance import model_sha256
from export.verification.report import Report, VerificationError
from export.verification.report_files import write_report
from export.verification.verify import VERIFICATION_STEPS, verify
from lnn_keras.adapt.linear_method import LinearMethod
from lnn_keras.argument_checks import require_at_least
from lnn_keras.atomic_folder import require_replaceable, whole_folder


def to_c(
    model: keras.Model,
    directory: str | Path,
    *,
    recipe: str | Recipe = "int16x8",
    calibration: Data | None = None,
    evaluation: Data | tuple[Data, ArrayLike] | None = None,
    prefix: str | None = None,
    layout: str = layouts.DEFAULT,
    adapt: str | LinearMethod | Adaptation | None = None,
    steps: int = VERIFICATION_STEPS,
    reset: bool = False,
    tolerance: float | None = None,
    metric_tolerance: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Export a model as C99 that needs no interpreter, verify it against Keras, and write it.

    The model becomes one time step with its states in a struct. The folder has NAME.c, NAME.h and
    lnn_primitives.h, which need no library and no heap; a replay of recorded inputs with a hash,
    which tells whether a device computes the same bits; report.json and report.html. The source
    is compiled by the host's C compiler and runs against Keras with its states fed back; without
    a compiler a NumPy model with the same results in every bit takes its place. The folder is
    written atomically, after verification.

    Args:
        model: Any built Sequential or Functional model that has a step form; see `to_tflite`. Its
            loops must have a fixed length.
        directory: The folder to write; one written before is replaced.
        recipe: "int16x8", 16-bit activations and 8-bit weights; "int16", 16-bit weights; or
            "float32".
        calibration: Typical sequences (batch, time, features) or (time, features), by input name
            if there are several, or a tf.data.Dataset of such. Required for integer recipes.
        evaluation: Sequences to verify on, or a pair of them and their true outputs; by default
            the calibration data.
        prefix: Begins the names of functions and files, so that one firmware can hold several
            models; by default the model's name.
        layout: The build system whose project the folder is: "cmake" (also make), "arduino",
            "zephyr" or "espidf".
        adapt: How the readout keeps learning on the device; see `to_tflite`. The source gets a
            function NAME_adapt that takes the truth of an earlier prediction, and functions that
            save and restore what was learned. Recipe "float32" only; `evaluation` must be a pair.
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
        ValueError: Unknown recipe or layout, a layer without a step form or an operation without a
            form in C, `prefix` is no C identifier or is reserved, data of a wrong shape or not
            finite.
        OSError: The folder cannot be written.
        VerificationError: The source is outside the recipe's tolerance.

    Example:
        >>> import export, zoo
        >>> model, data = zoo.load("half-cheetah-micro"), zoo.samples("half-cheetah-micro")
        >>> report = export.to_c(
        ...     model, "build/cheetah", calibration=data["calibration"], steps=200
        ... )
        >>> report.passed
        True
    """
    report_progress = progress or (lambda sentence: None)
    layouts.get(layout)
    if prefix is not None:
        require_prefix(prefix)
    recipe, target = recipes.get(recipe), targets.get("c")
    recipe = recipes.with_tolerances(recipe, tolerance, metric_tolerance)
    require_at_least(2, "steps", steps)
    require_arguments(target, recipe, calibration)
    given_model, adaptation = model, adaptation_of(adapt)
    if adaptation is not None:
        checked_calibration(model, calibration)
        data = adaptive_data(model, adaptation, evaluation)
        model, calibration, evaluation = data.model, data.inputs, data[1:]
    previous = files_of_last_export(directory)
    require_replaceable(directory, proof="report.json", replaceable=previous)
    step = to_step(model, fold_scaling=recipe.is_integer)
    arrays = None if calibration is None else as_arrays(step.graph, calibration)
    inputs, true_outputs = evaluation_pair(step.graph, step, evaluation, arrays)
    sequences = as_sequences(step, noise(model, REPLAY_STEPS) if arrays is None else arrays)
    with whole_folder(directory, proof="report.json", replaceable=previous) as folder:
        samples, warnings = [], ()
        if recipe.is_integer:
            report_progress("Calibrating in closed loop")
            samples = closed_loop_samples(step, sequences)
            warnings = calibration_warnings(step, sequences, samples, recipe)
        report_progress(f"Writing C for {recipe.name}")
        source = c_model(step, recipe, samples, prefix)
        report_progress("Verifying against Keras")
        report = verify(
            model,
            source,
            inputs,
            true_outputs,
            target=target,
            recipe=recipe,
            steps=steps,
            reset=reset,
        )
        # The digest is that of the user's model, also if its readout learns.
        report = replace(
            report,
            warnings=(*warnings, *report.warnings),
            model_sha256=model_sha256(given_model),
        )
        if not report.passed:
            evaluated = (inputs, true_outputs)
            found = remedies(report, model, target, recipe, arrays, evaluated, steps, reset)
            report = replace(report, remedies=found)
            raise VerificationError(report, write_failed_report(report, directory))
        report_progress("Recording a replay")
        texts = project_files(
            source,
            replay_files(source, record_replay(source, step, sequences)),
            layout,
            title=step.name,
            window_note=step.window_note,
        )
        names = (*texts, "report.json", "report.html")
        report = replace(report, files={name: str(Path(directory) / name) for name in names})
        report_progress("Writing")
        remove_failed_report(directory)
        write_report(folder, report, texts)
    return report


def record_replay(source: CModel, step: Step, sequences: dict[str, np.ndarray]) -> Replay:
    """Run C source on the first rows of sequences and record what it returned.

    Args:
        source: The C source of a step.
        step: The step form that it was made of.
        sequences: By input name (batch, time, features), as `as_sequences` returns them;
            concatenated over time.
    """
    runtime = CCode(source)
    signature = runtime.signature
    rows = recorded_rows(
        {t.name: stored_rows(signature, sequences)[t.position] for t in signature.data_inputs}
    )
    count = len(next(iter(rows.values())))
    order = np.arange(REPLAY_STEPS) % count
    outputs, _ = runtime.run_steps(
        {t.position: rows[t.name][order] for t in signature.data_inputs},
        initial_inputs(signature, step.initial_states),
        [(state.position, following.position) for state, following in signature.states],
        REPLAY_STEPS,
    )
    ordered = [following for _, following in signature.states] + list(signature.data_outputs)
    records = [outputs[t.position][index] for index in range(REPLAY_STEPS) for t in ordered]
    return Replay(rows, hash_of(records))
