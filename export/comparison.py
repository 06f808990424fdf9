"""`compare`: every recipe of every target, converted and verified, as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from export import recipes
from export.calibration import closed_loop_samples
from export.comparison_table import FAILED, PASSED, REFUSED, Comparison, ComparisonRow
from export.convert import artifact, converter
from export.data import Data, as_arrays, as_sequences
from export.evaluation_data import evaluation_pair
from export.forms.model_graph import read_graph
from export.forms.step import Step, to_step
from export.pipeline import forms_of, require_arguments, require_tensorflow
from export.recipes import Recipe
from export.targets import MICRO, TARGETS, Target
from export.verification.report import Report, RuntimeResult
from export.verification.verify import VERIFICATION_STEPS, verify
from lnn_keras.argument_checks import require_at_least


def compare(
    model: keras.Model,
    *,
    calibration: Data | None = None,
    evaluation: Data | tuple[Data, ArrayLike] | None = None,
    steps: int = VERIFICATION_STEPS,
    reset: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Convert and verify a model with every recipe of every target; no file is written.

    The targets are those of `to_tflite`, and "c", which `to_c` exports.

    A recipe that is out of tolerance, or that cannot be made, is a row with its reasons.

    Args:
        model: The model; see `to_tflite`. It is not changed.
        calibration: Typical sequences; see `to_tflite`. Without them the integer recipes are
            refused.
        evaluation: Sequences to verify on, or a pair of them and their true outputs; by default
            the calibration data.
        steps: Largest number of closed-loop steps to verify.
        reset: Whether the device resets the states before each sequence; see `to_tflite`.
        progress: Called with a sentence before each stage.

    Returns:
        The table.

    Raises:
        ValueError: The model is no Sequential or Functional model, the data do not fit it, or
            `steps` is less than 2. Nothing is converted then.

    Example:
        >>> import export, zoo
        >>> model, data = zoo.load("half-cheetah-micro"), zoo.samples("half-cheetah-micro")
        >>> table = export.compare(model, calibration=data["calibration"], steps=100)
        >>> [row.recipe for row in table.rows if row.target == "micro"]
        ['float32', 'int8', 'int16x8']
    """
    require_at_least(2, "steps", steps)
    require_tensorflow()
    work = _Work(model, calibration, evaluation, steps, reset, progress or (lambda sentence: None))
    converter.start()
    rows = tuple(work.rows())
    return Comparison(work.graph.name, steps, work.keras_metric, rows)


class _Work:
    """The model and the data that all rows share, checked."""

    def __init__(self, model, calibration, evaluation, steps, reset, progress):
        self.model, self.steps, self.reset, self.progress = model, steps, reset, progress
        self.graph = read_graph(model)
        step = _step_form(model)
        self.calibration = None if calibration is None else as_arrays(self.graph, calibration)
        if step is not None and self.calibration is not None:
            as_sequences(step, self.calibration)
        self.inputs, self.true_outputs = evaluation_pair(
            self.graph, step, evaluation, self.calibration
        )
        self.keras_metric: float | None = None

    def rows(self) -> Iterator[ComparisonRow]:
        pairs = [
            (target, recipes.get(name)) for target in TARGETS.values() for name in target.recipes
        ]
        # Microcontrollers first: they decide more often.
        for index, (target, recipe) in enumerate(sorted(pairs, key=lambda pair: pair[0].name)):
            self.progress(f"{target.name} {recipe.name} ({index + 1} of {len(pairs)})")
            yield self._row(target, recipe)

    def _row(self, target: Target, recipe: Recipe) -> ComparisonRow:
        try:
            forms = forms_of(self.model, target, recipe)
            require_arguments(target, recipe, self.calibration)
            samples = self._samples if recipe.is_integer else ()
            content = artifact(forms.step, recipe, target, samples, forms.sequence)
            report = verify(
                self.model,
                content,
                self.inputs,
                self.true_outputs,
                target=target,
                recipe=recipe,
                steps=self.steps,
                reset=self.reset,
            )
        except (ValueError, RuntimeError) as error:
            return ComparisonRow(target.name, recipe.name, REFUSED, (str(error),))
        self.keras_metric = report.results[0].metric
        return _verified(target, report)

    @cached_property
    def _samples(self) -> list[dict[str, np.ndarray]]:
        """Calibration samples, the same for all integer recipes."""
        assert self.calibration is not None
        step = to_step(self.model, fold_scaling=True)
        return closed_loop_samples(step, as_sequences(step, self.calibration))


def _step_form(model: keras.Model) -> Step | None:
    """The step form, or None if the model has none: then rows say why."""
    try:
        return to_step(model)
    except ValueError:
        return None


def _verified(target: Target, report: Report) -> ComparisonRow:
    ran = [result for result in report.results[1:] if not result.note]
    return ComparisonRow(
        target=target.name,
        recipe=report.recipe,
        verdict=PASSED if report.passed else FAILED,
        reasons=report.failures,
        bytes=report.bytes,
        arena_bytes=report.arena_bytes,
        error=_worst([result.output_error for result in ran]),
        metric=_worst([result.metric for result in ran]),
        latency_p50=_latency(target, ran),
    )


def _worst(values: list[Any]) -> float | None:
    """The largest value; NaN if one is NaN, None if there are none."""
    numbers = [value for value in values if value is not None]
    return float(np.max(numbers)) if numbers else None


def _latency(target: Target, ran: list[RuntimeResult]) -> float | None:
    by_name = {result.name: result.latency_p50 for result in ran}
    return by_name.get(MICRO, by_name.get(target.runtimes[0]))
