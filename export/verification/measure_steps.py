"""Measures a file with the signature `step`: each runtime in closed loop against Keras."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from export import targets
from export.artifact import Artifact, signature_names, step_signature
from export.data import real_inputs
from export.forms.step import Step
from export.recipes import Recipe
from export.runtimes.keras_step import KerasStep, keras_rollout
from export.runtimes.rollout import Rollout, rollout
from export.runtimes.start import start_runtimes
from export.targets import Target
from export.verification import check_forms, error_metrics
from export.verification.evaluate import TrueOutputs
from export.verification.failures import failures_and_warnings, learned_failures
from export.verification.report import Measurements, RuntimeResult, signals

NO_WHEEL = "not run: no wheel for this platform"
REJECTED = "rejects the file"
# A state that leaves its calibrated range by this share of the range is reported, if it does so
# in this share of the steps.
RANGE_MARGIN = 0.05
RANGE_SHARE = 0.01


def measure_steps(
    content: Artifact,
    step: Step,
    rows: dict[str, np.ndarray],
    sequences: dict[str, np.ndarray],
    true_outputs: Any,
    target: Target,
    recipe: Recipe,
) -> Measurements:
    """Run a file on every runtime of a target and compare it with Keras.

    Args:
        content: The .tflite file, or a `CModel`.
        step: The step form.
        rows: Sequences to run (batch, steps, values), each from the initial states.
        sequences: All sequences of the data, which the true outputs belong to.
        true_outputs: True outputs for `sequences`, or None.
        target: The device that runs the file.
        recipe: The tolerances.
    """
    started, missing, rejections = start_runtimes(content, target.runtimes)
    rollouts = {runtime.name: rollout(runtime, rows, step.initial_states) for runtime in started}
    arena = next((r.arena_bytes for r in started if r.arena_bytes is not None), None)
    runs = Runs(rollouts, arena, missing, rejections)
    return compare(content, step, rows, sequences, true_outputs, recipe, runs)


@dataclass(frozen=True)
class Runs:
    """What the runtimes of a target returned for the same rows.

    Attributes:
        rollouts: By name of each runtime that ran.
        arena_bytes: Arena on TFLite Micro; None if it was not run.
        missing: Names of the runtimes without a wheel on this platform.
        rejections: By name of each runtime that rejects the file, its reason.
    """

    rollouts: dict[str, Rollout]
    arena_bytes: int | None
    missing: Sequence[str]
    rejections: dict[str, str]


def compare(
    content: Artifact,
    step: Step,
    rows: dict[str, np.ndarray],
    sequences: dict[str, np.ndarray],
    true_outputs: Any,
    recipe: Recipe,
    runs: Runs,
) -> Measurements:
    """Compare what runtimes returned with Keras; see `measure_steps`."""
    truth = None if true_outputs is None else TrueOutputs(step, sequences, true_outputs)
    reference, rounded = _reference_rollouts(step, rows)
    rollouts = [reference, *runs.rollouts.values()]
    outputs = [returned_outputs(step, rolled) for rolled in rollouts]
    floor = error_metrics.rounding(outputs[0], returned_outputs(step, rounded))
    learned_floor = error_metrics.ROUNDING_ULPS * (_learned_error(step, rounded, reference) or 0)
    names = [KerasStep.name, *runs.rollouts]
    results = [
        replace(
            _result(name, rolled, values, reference, outputs[0], floor, truth),
            learned_error=_learned_error(step, rolled, reference),
        )
        for name, rolled, values in zip(names, rollouts, outputs, strict=True)
    ]
    results += [RuntimeResult(name, note=NO_WHEEL) for name in runs.missing]
    results += [RuntimeResult(name, note=REJECTED) for name in runs.rejections]
    inputs = real_inputs(step, rows)
    expected = check_forms.model_outputs(step.graph, inputs)
    if isinstance(content, bytes) and targets.SEQUENCE in signature_names(content):
        results.append(check_forms.sequence_result(content, inputs, expected, outputs[0], floor))
    disagreement = error_metrics.disagreement(outputs)
    failures, warnings = failures_and_warnings(results, disagreement, recipe)
    stepped = {name: _real(step, name, values) for name, values in rollouts[0].outputs.items()}
    return Measurements(
        steps=len(rollouts[0].seconds),
        results=tuple(results),
        disagreement=disagreement,
        arena_bytes=runs.arena_bytes,
        failures=(
            *check_forms.step_form_failures(expected, stepped, step.sequences, floor),
            *failures,
            *learned_failures(results, learned_floor, recipe),
            *(f"{reason}." for reason in runs.rejections.values()),
        ),
        warnings=(*warnings, *_range_warnings(content, step, rollouts[0])),
        signals=signals(outputs[0], outputs[1] if runs.rollouts else {}, truth and truth.values),
    )


def returned_outputs(step: Step, rolled: Rollout) -> dict[str, np.ndarray]:
    """Return the real outputs (n, ...) that the model returns: of each step, or of the last ones.

    Of a single sequence, a model that returns its last step would return each step, if the
    sequence ended there.
    """
    outputs = {}
    for name, values in rolled.outputs.items():
        real = _real(step, name, values)
        every = name in step.sequences or len(real) == 1
        outputs[name] = real.reshape(-1, *real.shape[2:]) if every else real[:, -1]
    return outputs


def _real(step, name, values):
    return step.scalings[name].to_real(values)


def _reference_rollouts(step, rows):
    """Keras on the rows, and on the rows with their last bit changed, in one run."""
    changed = error_metrics.last_bit_changed(rows)
    both = {name: np.concatenate([values, changed[name]]) for name, values in rows.items()}
    rolled = keras_rollout(step, both)
    return [
        Rollout(
            {name: np.split(values, 2)[half] for name, values in rolled.outputs.items()},
            {name: np.split(values, 2)[half] for name, values in rolled.states.items()},
            np.split(rolled.seconds, 2)[half],
        )
        for half in (0, 1)
    ]


def _result(name, rolled, outputs, reference, reference_outputs, floor, truth):
    errors = error_metrics.step_errors(outputs, reference_outputs)
    p50, p99 = np.percentile(rolled.seconds * 1e6, [50, 99])
    return RuntimeResult(
        name=name,
        output_error=error_metrics.largest_rms(outputs, reference_outputs),
        rounding=floor,
        state_error=error_metrics.largest_rms(_flat(rolled.states), _flat(reference.states)),
        worst_step=int(np.argmax(errors)),
        worst_error=float(errors.max()),
        error_curve=error_metrics.curve(errors),
        metric=truth and truth.error(outputs),
        latency_p50=float(p50),
        latency_p99=float(p99),
    )


def _learned_error(step, rolled, reference):
    """The largest error of learned weights after the last step; None if the model learns none."""
    names = [state.name for state in step.states if state.is_weights]
    return max(
        (
            error_metrics.relative_distance(rolled.states[n][:, -1], reference.states[n][:, -1])
            for n in names
        ),
        default=None,
    )


def _flat(named):
    return {name: values.reshape(-1, *values.shape[2:]) for name, values in named.items()}


def _range_warnings(content, step, reference):
    """Warn of states that leave the range that integers can hold, and say from which step on."""
    warnings = []
    for state, _ in step_signature(content).states:
        if not state.scale or step.window is not None:
            continue
        low, high = state.range
        margin = RANGE_MARGIN * (high - low)
        values = _flat(reference.states)[state.name]
        outside = (values < low - margin) | (values > high + margin)
        rows = outside.reshape(len(values), -1).any(axis=1)
        if rows.mean() >= RANGE_SHARE:
            warnings.append(
                f"State {state.name!r} leaves its calibrated range, [{low:.4g}, {high:.4g}], from "
                f"step {int(np.argmax(rows))} of the rollout on, and saturates in "
                f"{100 * rows.mean():.3g} % of the steps. Calibrate on sequences that are as long "
                "as those on the device, or reset the states more often."
            )
    return warnings
