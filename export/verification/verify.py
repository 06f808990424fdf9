"""`verify`: a file on each runtime against Keras, over long closed-loop rollouts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import keras
from numpy.typing import ArrayLike

from export import artifact, recipes, targets
from export.artifact import Artifact
from export.data import Data, as_sequences, as_whole_sequences, noise, verification_sequences
from export.forms.model_graph import read_graph
from export.forms.step import to_step
from export.recipes import Recipe
from export.targets import SEQUENCE, STEP, Target
from export.tflite_file import cost
from export.tflite_file.interface import require_same_interface, require_same_sequence
from export.verification.measure_sequences import measure_sequences, sequence_noise
from export.verification.measure_steps import measure_steps
from export.verification.provenance import provenance
from export.verification.report import Measurements, Report
from lnn_keras.argument_checks import require_at_least

VERIFICATION_STEPS = 1000


def verify(
    model: keras.Model,
    content: Artifact,
    inputs: Data | None = None,
    true_outputs: ArrayLike | None = None,
    *,
    target: str | Target | None = None,
    recipe: str | Recipe | None = None,
    steps: int = VERIFICATION_STEPS,
    reset: bool = False,
    tolerance: float | None = None,
    metric_tolerance: float | None = None,
) -> Report:
    """Run Keras and every runtime of the target, each with its own states fed back.

    The states start from their initial values in each sequence with `reset`, or if the model has a
    fixed length or returns only its last step; otherwise the sequences follow each other
    without a reset, as on a device. The error of an output is relative to the deviation of the
    values that the model returns: of each step, or of each sequence's last step.

    Args:
        model: The Keras model that the file was made of.
        content: The bytes of the .tflite file, or a `CModel`.
        inputs: Sequences (batch, time, features) or (time, features), by input name if there are
            several; also a tf.data.Dataset of such. Gaussian noise by default.
        true_outputs: True outputs for `inputs`, of a model with one output, for the mean squared
            error of each runtime: (batch, time, ...), or (batch, ...) if the model returns only
            the last step. If they are given, this error decides, and the outputs' deviation from
            Keras is a warning.
        target: The device that runs the file; by default "c" for C source, "phone" for a file with
            the signature `sequence`, "micro" for others.
        recipe: The recipe with the tolerances; by default that of the file's dtypes.
        steps: Largest number of steps to run.
        reset: Whether the device resets the states before each sequence, as for recordings that
            have nothing to do with each other.
        tolerance: Largest accepted RMS error of the outputs, relative to their standard
            deviation; by default the recipe's.
        metric_tolerance: Largest accepted relative loss of the mean squared error; by default
            the recipe's.

    Returns:
        The report; failures are in it and raise no error.

    Raises:
        ValueError: The file or the data do not fit the model, or an argument is out of range.
    """
    require_at_least(2, "steps", steps)
    artifact.require_readable(content)
    recipe = recipes.get(recipe) if recipe else artifact.recipe_of(content)
    recipe = recipes.with_tolerances(recipe, tolerance, metric_tolerance)
    target = targets.get(target) if target else artifact.target_of(content)
    if STEP in artifact.signature_names(content):
        measured = _verify_steps(model, content, inputs, true_outputs, target, recipe, steps, reset)
    else:
        measured = _verify_sequences(model, content, inputs, true_outputs, target, recipe, steps)
    measured = replace(measured, warnings=(*measured.warnings, *_float_warnings(content, recipe)))
    described = "Gaussian noise, since no data were given" if inputs is None else "the given data"
    if reset:
        described += ", each sequence from the initial states"
    return report_of(model, [content], target, recipe, described, measured)


def report_of(
    model: keras.Model,
    contents: Sequence[Artifact],
    target: Target,
    recipe: Recipe,
    inputs: str,
    measured: Measurements,
) -> Report:
    """Return the report of one or several files that together are a model.

    Args:
        model: The Keras model.
        contents: The files; the first one's digest is stated.
        target: The device.
        recipe: The recipe of the first file.
        inputs: Description of the data.
        measured: The measurements.
    """
    costs = [artifact.costs_of(content) for content in contents]
    counts = sum((Counter(cost.operations) for cost in costs), Counter())
    return Report(
        model=read_graph(model).name,
        target=target.name,
        recipe=recipe.name,
        inputs=inputs,
        parameters=model.count_params(),
        bytes=sum(cost.bytes for cost in costs),
        gzip_bytes=sum(cost.gzip_bytes for cost in costs),
        multiply_accumulates=sum(cost.multiply_accumulates for cost in costs),
        operations=dict(sorted(counts.items())),
        tolerance=recipe.tolerance,
        minimum_runtime=recipe.runtime.name if target.name == "phone" else "",
        **provenance(model, artifact.content_of(contents[0])),
        **vars(measured),
    )


def _verify_steps(
    model, content, inputs, true_outputs, target, recipe, steps, reset
) -> Measurements:
    step = to_step(model, fold_scaling=recipe.is_integer)
    require_same_interface(artifact.step_signature(content), step)
    if SEQUENCE in artifact.signature_names(content):
        require_same_sequence(content, step.graph)
    data = noise(model, steps) if inputs is None else inputs
    sequences = as_sequences(step, data, "inputs")
    # A task's error is measured on all data.
    every = true_outputs is not None and not step.sequences
    rows = verification_sequences(step, sequences, None if every else steps, reset)
    return measure_steps(content, step, rows, sequences, true_outputs, target, recipe)


def _verify_sequences(model, content, inputs, true_outputs, target, recipe, steps) -> Measurements:
    graph = read_graph(model)
    require_same_sequence(content, graph)
    arrays = (
        sequence_noise(graph, steps)
        if inputs is None
        else as_whole_sequences(graph, inputs, "inputs")
    )
    return measure_sequences(content, graph, arrays, true_outputs, target, recipe)


def _float_warnings(content, recipe):
    if recipe.weights != "int8" or not isinstance(content, bytes):
        return ()
    return tuple(
        f"Matrix {name!r} stays in 32-bit floats: the converter does not quantize small matrices."
        for name in cost.float_kernels(content)
    )
