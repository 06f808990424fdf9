"""Keras against each runtime over a long closed-loop rollout."""

import itertools
from collections import Counter
from dataclasses import replace

import keras
import numpy as np

from export import recipes, runtimes, targets
from export.data import as_sequences, end_to_end, noise
from export.forms.step import Step, to_step
from export.recipes import Recipe
from export.targets import Target
from export.tflite_file import cost, flatbuffer
from export.tflite_file.interface import recipe_of, require_same_interface, target_of
from export.verification import check_forms, error_metrics
from export.verification.evaluate import TrueOutputs
from export.verification.report import Report, RuntimeResult, percent

STEPS = 1000
NO_WHEEL = "not run: no wheel for this platform"
REFUSED = "refuses the file"


def verify(
    model: keras.Model,
    content: bytes,
    inputs=None,
    true_outputs: np.ndarray | None = None,
    *,
    target: str | Target | None = None,
    recipe: str | Recipe | None = None,
    steps: int = STEPS,
) -> Report:
    """Run Keras and every runtime of the target side by side, each feeding back its own state.

    Args:
        model: The Keras model that the file was made of.
        content: The bytes of the .tflite file.
        inputs: Sequences (batch, time, features) or (time, features), by input name if
            there are several; laid end to end. Gaussian noise without them.
        true_outputs: True outputs beside `inputs`, of a model with one output; gives the
            mean squared error of each runtime. (batch, time, ...), or (batch, ...) where the
            model gives the last step alone: each sequence is then run from its start.
        target: Where the file is meant to run; by default "phone" for one that holds
            sequences, "micro" for others.
        recipe: Its tolerances apply; by default that of the file's own types.
        steps: Most steps to run.

    Raises:
        ValueError: The file does not fit the model, or the data do not.
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

    started, missing, refused = runtimes.start(content, target.runtimes)
    running = (runtimes.KerasStep(step), *started)
    rolled = [_real_rollout(runtime, step, rows) for runtime in running]
    results = [
        _result(runtime.name, values, rolled[0], truth and truth.error(runtime, values))
        for runtime, values in zip(running, rolled, strict=True)
    ]
    results += [RuntimeResult(name, note=NO_WHEEL) for name in missing]
    results += [RuntimeResult(name, note=REFUSED) for name in refused]
    whole = check_forms.whole_outputs(model, step, rows)
    if targets.SEQUENCE in flatbuffer.signature_names(content):
        results.append(check_forms.sequence_result(content, model, step, rows, whole, rolled[0]))
    disagreement = _disagreement(rolled)
    failures = [
        *check_forms.step_form_failures(whole, rolled[0]),
        *_failures(results, disagreement, recipe),
        *(f"{reason}." for reason in refused.values()),
    ]
    return Report(
        model=model.name,
        target=target.name,
        recipe=recipe.name,
        steps=len(next(iter(rows.values()))),
        inputs="Gaussian noise, for want of data" if inputs is None else "the data, end to end",
        parameters=model.count_params(),
        bytes=len(content),
        gzip_bytes=cost.gzip_bytes(content),
        multiply_accumulates=cost.multiply_accumulates(content),
        arena_bytes=next((r.arena_bytes for r in started if hasattr(r, "arena_bytes")), None),
        operations=_step_operations(content),
        results=tuple(results),
        disagreement=disagreement,
        tolerance=recipe.tolerance,
        failures=tuple(failures),
        warnings=_float_warnings(content, recipe),
    )


def _real_rollout(runtime, step: Step, rows):
    """A rollout whose outputs are real values."""
    initial = {state.name: state.initial for state in step.states}
    rolled = runtimes.rollout(runtime, rows, initial)
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


def _disagreement(rolled):
    """The largest difference between two runtimes, relative to what Keras gives."""
    reference, *others = [values.outputs for values in rolled]
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
        f"Matrix {name!r} stays in 32-bit floats: the converter finds it too small to be worth it."
        for name in cost.float_kernels(content)
    )
