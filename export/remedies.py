"""What would help an export that failed its verification, from what was measured."""

from collections.abc import Iterator

import keras
import numpy as np

from export import recipes
from export.calibration import closed_loop_samples
from export.convert import artifact
from export.data import as_sequences
from export.forms.step import Step, to_step
from export.recipes import Recipe
from export.targets import Target
from export.verification.report import Report, percent
from export.verification.verify import verify

COUNT = 3
# A range is calibrated well from about so many rows.
ENOUGH_ROWS = 1000
# Features whose deviations differ by more than this factor share one scale poorly.
UNEVEN = 4.0
# Share of the evaluation data out of the calibrated ranges that is worth a sentence.
UNCOVERED = 0.01
# By types of activations and weights, the integer recipe with the next smaller error.
_FINER = {("int8", "int8"): "int16x8", ("int16", "int8"): "int16"}


def remedies(
    report: Report,
    model: keras.Model,
    target: Target,
    recipe: Recipe,
    calibration: dict[str, np.ndarray] | None,
    evaluation: tuple[dict[str, np.ndarray] | None, np.ndarray | None],
    steps: int,
    reset: bool,
) -> tuple[str, ...]:
    """Return the likeliest remedies for a failed verification, one sentence each.

    Args:
        report: The report of the failed verification.
        model: The Keras model.
        target: The device.
        recipe: The recipe that failed.
        calibration: The calibration data by input name, or None.
        evaluation: The data of the verification by input name, and their true outputs, or None.
        steps: Largest number of steps to verify.
        reset: Whether the device resets the states before each sequence.
    """
    if not recipe.is_integer or calibration is None:
        return tuple(_of_floats(report, target, recipe))
    step = to_step(model, fold_scaling=True)
    finer = _finer_recipe(step, target, recipe, calibration, evaluation, steps, reset)
    found = [
        *_coverage(calibration, evaluation[0]),
        *_use_finer_recipe(finer, report, has_passed=True),
        *_normalization(step, calibration),
        *_output_offset(step, report),
        *_more_data(calibration),
        *_use_finer_recipe(finer, report, has_passed=False),
        "Train a few more epochs with export.compress.quantize_aware(model), which makes the "
        "model robust to quantization.",
        *_longer_training(report),
    ]
    return (*found[: COUNT - 1], _tolerance(report))


def remedies_of_pair(report: Report, target: Target, recipe: Recipe) -> tuple[str, ...]:
    """Return remedies for a model in integers whose readout learns in floats."""
    finer = [n for n in ("int16x8", "float32") if n in target.recipes and n != recipe.name]
    named = " or ".join(repr(name) for name in finer)
    return (
        f"Use recipe {named}, whose features are closer to those of the model.",
        _tolerance(report),
    )


def _of_floats(report, target, recipe) -> Iterator[str]:
    if recipe.weights != "float32" and "float32" in target.recipes:
        yield "Use recipe 'float32', which has no quantized weights."
    yield from _longer_training(report)
    yield _tolerance(report)


def _finer_recipe(
    step: Step, target, recipe, calibration, evaluation, steps, reset
) -> Report | None:
    """The report of the next finer recipe, or None."""
    name = _FINER.get((recipe.activations, recipe.weights))
    if name not in target.recipes:
        return None
    finer = recipes.get(name)
    try:
        samples = closed_loop_samples(step, as_sequences(step, calibration))
        content = artifact(step, finer, target, samples)
        return verify(
            step.graph.model,
            content,
            *evaluation,
            target=target,
            recipe=finer,
            steps=steps,
            reset=reset,
        )
    except (ValueError, RuntimeError):
        # The recipe lacks an operation that the model needs.
        return None


def _use_finer_recipe(finer, report, has_passed) -> Iterator[str]:
    if finer is None or finer.passed is not has_passed or _worst(finer) >= _worst(report):
        return
    verdict = "which passes" if has_passed else "which fails as well"
    yield f"Use recipe {finer.recipe!r}: its outputs' error is {percent(_worst(finer))}, {verdict}."


def _coverage(calibration, evaluation) -> Iterator[str]:
    for name, values in (evaluation or {}).items():
        # Elapsed times (batch, time) have no axis of features.
        known, checked = (a[..., None] if a.ndim < 3 else a for a in (calibration[name], values))
        known = known.reshape(-1, known.shape[-1])
        outside = float(np.mean((checked < known.min(axis=0)) | (checked > known.max(axis=0))))
        if outside > UNCOVERED:
            yield (
                f"Give calibration data that cover the evaluation data: {percent(outside)} of the "
                f"values of input {name!r} lie outside the calibrated range of their feature."
            )


def _normalization(step: Step, calibration) -> Iterator[str]:
    for name, array in calibration.items():
        scaling = step.scalings[name]
        if (
            array.ndim != 3
            or not np.allclose(scaling.scale, 1)
            or not np.allclose(scaling.offset, 0)
        ):
            continue
        features = array.reshape(-1, array.shape[-1])
        sizes = np.abs(features).max(axis=0)
        deviations = features.std(axis=0)
        uneven = sizes.max() > UNEVEN * max(sizes.min(), 1e-12)
        far = bool((np.abs(features.mean(axis=0)) > UNEVEN * np.maximum(deviations, 1e-12)).any())
        if uneven or far:
            yield (
                "Start the model with an adapted keras.layers.Normalization: the features of input "
                f"{name!r} reach from {sizes.min():.3g} to {sizes.max():.3g}, and share one scale."
            )


def _output_offset(step: Step, report) -> Iterator[str]:
    """Outputs that vary little around a large value use few of the integers."""
    unscaled = {name for name in step.outputs if np.all(step.scalings[name].offset == 0)}
    for signal in report.signals:
        mean, deviation = np.mean(signal.keras), np.std(signal.keras)
        if signal.name.partition("[")[0] in unscaled and abs(mean) > UNEVEN * deviation:
            yield (
                "Train on normalized targets, and end the model with an adapted "
                f"Normalization(invert=True): output {signal.name!r} is {mean:.4g} with a standard "
                f"deviation of {deviation:.3g}."
            )
            return


def _more_data(calibration) -> Iterator[str]:
    rows = int(np.prod(next(iter(calibration.values())).shape[:2]))
    if rows < ENOUGH_ROWS:
        yield (
            f"Give more calibration data: {rows:,} rows were given; {ENOUGH_ROWS:,} or more "
            "typical ones determine the ranges better."
        )


def _longer_training(report) -> Iterator[str]:
    deviations = [np.std(signal.keras) for signal in report.signals if signal.keras]
    if deviations:
        yield (
            "Train the model longer, or check it: errors are relative to the outputs' standard "
            f"deviation, which is {max(deviations):.3g}."
        )


def _tolerance(report: Report) -> str:
    """How to accept the file as it is."""
    reference, *others = [r.metric for r in report.results if r.metric is not None] or [0.0]
    if reference and others:
        loss = max(others) / reference - 1
        return f"If your task allows it, accept the file with metric_tolerance={_rounded_up(loss)}."
    worst = _worst(report)
    truth = "give true outputs with the evaluation data: then the task's error decides."
    if not 0 < worst < 0.5:
        return truth.capitalize()
    return (
        f"If your task allows it, accept the file with tolerance={_rounded_up(worst)}, or {truth}"
    )


def _worst(report: Report) -> float:
    return max(r.output_error for r in report.results if r.output_error is not None)


def _rounded_up(share: float) -> float:
    """The next larger number of two digits."""
    unit = 10 ** (np.floor(np.log10(share)) - 1)
    return float(f"{np.ceil(share * 1.05 / unit) * unit:.2g}")
