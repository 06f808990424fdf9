"""`verify`: a file on each runtime against Keras, over a long closed-loop rollout."""

import itertools
from collections import Counter
from dataclasses import replace

import keras
import numpy as np
from numpy.typing import ArrayLike

from export import recipes, targets
from export.data import Data, as_sequences, end_to_end, noise
from export.forms.step import Step, to_step
from export.recipes import Recipe
from export.runtimes.keras_step import KerasStep
from export.runtimes.micro import Micro
from export.runtimes.rollout import Rollout, Runtime, rollout
from export.runtimes.start import start_runtimes
from export.targets import Target
from export.tflite_file import cost, flatbuffer
from export.tflite_file.interface import recipe_of, require_same_interface, target_of
from export.verification import check_forms, error_metrics
from export.verification.evaluate import TrueOutputs
from export.verification.report import Report, RuntimeResult, percent

VERIFICATION_STEPS = 1000
NO_WHEEL = "not run: no wheel for this platform"
REJECTED = "rejects the file"


def verify(
    model: keras.Model,
    content: bytes,
    inputs: Data | None = None,
    true_outputs: ArrayLike | None = None,
    *,
    target: str | Target | None = None,
    recipe: str | Recipe | None = None,
    steps: int = VERIFICATION_STEPS,
) -> Report:
    """Run Keras and every runtime of the target, each with its own states fed back.

    Args:
        model: The Keras model that the file was made of.
        content: The bytes of the .tflite file.
        inputs: Sequences (batch, time, features) or (time, features), by input name if there are
            several; concatenated over time. Gaussian noise by default.
        true_outputs: True outputs for `inputs`, of a model with one output, for the mean squared
            error of each runtime: (batch, time, ...), or (batch, ...) if the model returns only
            the last step. In the second case each sequence runs from the initial states.
        target: The device that runs the file; by default "phone" for a file with the signature
            `sequence`, "micro" for others.
        recipe: The recipe with the tolerances; by default that of the file's dtypes.
        steps: Largest number of steps to run.

    Returns:
        The report; failures are in it and raise no error.

    Raises:
        ValueError: The file or the data do not fit the model.
    """
    if steps < 2:
        raise ValueError(f"`steps` must be at least 2; received {steps}.")
    recipe = recipes.get(recipe) if recipe else recipe_of(content)
    target = targets.get(target) if target else target_of(content)
    step = to_step(model, fold_scaling=recipe.is_integer)
    require_same_interface(content, step)
    if inputs is None:
        sequences = noise(model, step, steps)
    else:
        sequences = as_sequences(step, inputs, "inputs")
    rows = end_to_end(sequences, steps)
    truth = None if true_outputs is None else TrueOutputs(model, step, sequences, true_outputs)

    started, missing, rejections = start_runtimes(content, target.runtimes)
    runtimes = (KerasStep(step), *started)
    rollouts = [_real_rollout(runtime, step, rows) for runtime in runtimes]
    results = [
        _result(runtime.name, rolled, rollouts[0], truth and truth.error(runtime, rolled))
        for runtime, rolled in zip(runtimes, rollouts, strict=True)
    ]
    results += [RuntimeResult(name, note=NO_WHEEL) for name in missing]
    results += [RuntimeResult(name, note=REJECTED) for name in rejections]
    expected = check_forms.model_outputs(model, step, rows)
    if targets.SEQUENCE in flatbuffer.signature_names(content):
        results.append(
            check_forms.sequence_result(content, model, step, rows, expected, rollouts[0])
        )
    disagreement = _disagreement(rollouts)
    failures = [
        *check_forms.step_form_failures(expected, rollouts[0]),
        *_failures(results, disagreement, recipe),
        *(f"{reason}." for reason in rejections.values()),
    ]
    return Report(
        model=model.name,
        target=target.name,
        recipe=recipe.name,
        steps=len(next(iter(rows.values()))),
        inputs="Gaussian noise, since no data were given" if inputs is None else "the given data",
        parameters=model.count_params(),
        bytes=len(content),
        gzip_bytes=cost.gzip_bytes(content),
        multiply_accumulates=cost.multiply_accumulates(content),
        arena_bytes=next((r.arena_bytes for r in started if isinstance(r, Micro)), None),
        operations=_step_operations(content),
        results=tuple(results),
        disagreement=disagreement,
        tolerance=recipe.tolerance,
        failures=tuple(failures),
        warnings=_float_warnings(content, recipe),
    )


def _real_rollout(runtime: Runtime, step: Step, rows: dict[str, np.ndarray]) -> Rollout:
    """A rollout with outputs in real values, after folded scaling."""
    rolled = rollout(runtime, rows, step.initial_states)
    outputs = {name: step.scalings[name].to_real(v) for name, v in rolled.outputs.items()}
    return replace(rolled, outputs=outputs)


def _result(name, rolled, reference, metric):
    errors = error_metrics.step_errors(rolled.outputs, reference.outputs)
    p50, p99 = np.percentile(rolled.seconds * 1e6, [50, 99])
    return RuntimeResult(
        name=name,
        output_error=error_metrics.largest_rms(rolled.outputs, reference.outputs),
        state_error=error_metrics.largest_rms(rolled.states, reference.states),
        worst_step=int(np.argmax(errors)),
        worst_error=float(errors.max()),
        error_curve=error_metrics.curve(errors),
        metric=metric,
        latency_p50=float(p50),
        latency_p99=float(p99),
    )


def _disagreement(rollouts):
    """The largest difference between two runtimes, relative to the variation of Keras's outputs."""
    reference, *others = [rolled.outputs for rolled in rollouts]
    return max(
        (
            error_metrics.relative_rms(second[name], first[name], reference[name])
            for first, second in itertools.combinations(others, 2)
            for name in reference
        ),
        default=None,
    )


def _failures(results, disagreement, recipe):
    reference, *others = results
    failures = []
    for result in others:
        if result.note:
            continue
        # `not <=` also catches NaN.
        if not result.output_error <= recipe.tolerance:
            failures.append(
                f"{result.name}: the outputs' RMS error is {percent(result.output_error)} of their "
                f"standard deviation; allowed: {percent(recipe.tolerance)}."
            )
        if result.metric is not None:
            loss = result.metric / reference.metric - 1 if reference.metric else result.metric
            if not loss <= recipe.metric_tolerance:
                failures.append(
                    f"{result.name}: the mean squared error is {percent(loss)} worse than in "
                    f"Keras; allowed: {percent(recipe.metric_tolerance)}."
                )
    if disagreement is not None and not disagreement <= recipe.agreement:
        failures.append(
            f"The runtimes differ by {percent(disagreement)} of the outputs' standard deviation; "
            f"allowed: {percent(recipe.agreement)}."
        )
    return failures


def _step_operations(content):
    operations = Counter()
    for (name, _), count in flatbuffer.read_operations(content, targets.STEP).items():
        operations[name] += count
    return dict(sorted(operations.items()))


def _float_warnings(content, recipe):
    if recipe.weights != "int8":
        return ()
    return tuple(
        f"Matrix {name!r} stays in 32-bit floats: the converter does not quantize small matrices."
        for name in cost.float_kernels(content)
    )
