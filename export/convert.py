"""Conversion of a model's forms to a .tflite file, for a recipe and a target."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np

from export.calibration import within_range
from export.converter_process import SAMPLES, Converter
from export.forms.step import NEXT, Step
from export.graph import kernel_check, tf_graph
from export.graph.fold_linear import fold_linear_maps
from export.graph.gptq import round_weights
from export.graph.normalization import rewrite_normalizations
from export.graph.substitute_ops import substitute
from export.recipes import Recipe
from export.runtimes.observed_ranges import observed_ranges
from export.targets import SEQUENCE, STEP, Target
from export.tflite_file import flatbuffer, rewrite

Samples: TypeAlias = Sequence[dict[str, np.ndarray]]

CALIBRATION_ROUNDS = 3
RANGE_SAMPLES = 2000

converter = Converter()


def convert(
    step: Step,
    recipe: Recipe,
    target: Target,
    samples: Iterable[dict[str, np.ndarray]] = (),
    sequence: keras.Model | None = None,
) -> bytes:
    """Convert a model's forms to one .tflite file with one signature per form.

    Args:
        step: The step form.
        recipe: The dtypes of the file.
        target: The device that runs the file.
        samples: Inputs and states of typical steps, by name; for integer recipes.
        sequence: The sequence form, for a file that also has this signature.

    Raises:
        ValueError: The target has no kernel for an operation; the message names its layer.
        RuntimeError: The converter failed or crashed.
    """
    samples = list(samples)
    functions = {STEP: _step_function(step, recipe, target, samples)}
    if sequence is not None:
        functions[SEQUENCE] = tf_graph.trace(sequence, None)
    with tempfile.TemporaryDirectory() as folder:
        tf_graph.save(functions, folder)

        def run_converter(samples: Samples) -> bytes:
            if samples:
                stacked: Any = {name: np.stack([s[name] for s in samples]) for name in samples[0]}
                np.savez(Path(folder) / SAMPLES, **stacked)
            return converter.convert(
                folder,
                list(functions),
                {"activations": recipe.activations, "weights": recipe.weights},
                f"{step.model.name!r} ({', '.join(functions)}) to {recipe.name}",
            )

        if recipe.is_integer:
            content = _convert_calibrated(run_converter, samples)
        else:
            content = run_converter(samples)
        content = rewrite.share_constants(content)
    require_operations(content, target)
    return content


def _step_function(step: Step, recipe: Recipe, target: Target, samples: Samples):
    """The step as a ConcreteFunction of operations that the target has."""
    # Calibration runs sample by sample, and a dynamic batch would make shapes variable.
    function = tf_graph.trace(step.model, 1 if recipe.is_integer else target.batch)
    flat = tf_graph.flatten(function)
    if recipe.is_integer:
        kernel_check.require_no_loops(flat, step.model, recipe)
        flat = tf_graph.flatten(rewrite_normalizations(flat, recipe.activations))
        flat = tf_graph.flatten(fold_linear_maps(flat))
        function = substitute(flat, step.model, recipe, target, samples)
        function = round_weights(tf_graph.flatten(function), recipe, samples)
        flat = tf_graph.flatten(function)
    kernel_check.require_kernels(flat, step.model, recipe, target)
    return function


def _convert_calibrated(run_converter: Callable[[Samples], bytes], samples: Samples) -> bytes:
    """Convert until each state has one scale as input and output, then narrow the ranges."""
    content, different = b"", []
    for _ in range(CALIBRATION_ROUNDS + 1):
        content = rewrite.share_state_scales(run_converter(samples))
        different = rewrite.states_with_two_scales(flatbuffer.read_signature(content))
        if not different:
            break
        # Calibrate the input on the output's range, which an operation such as TANH may fix.
        for state in different:
            samples = within_range(samples, state.name.removeprefix(NEXT), *state.range)
    if different:
        raise ValueError(
            f"The state {different[0].name.removeprefix(NEXT)!r} has another scale as input than "
            f"as output ({different[0].scale:.6g}), so it cannot be fed back."
        )
    # 16-bit activations are fine enough without narrower ranges.
    if flatbuffer.read_signature(content).inputs[0].dtype != "int8":
        return content
    return rewrite.narrow_file(content, observed_ranges(content, samples, RANGE_SAMPLES))


def require_operations(content: bytes, target: Target) -> None:
    """Raise a ValueError that names each (operation, dtype) of the file that the target lacks."""
    missing = sorted(
        (operation, dtype)
        for operation, dtype in set(flatbuffer.read_operations(content))
        if not target.runs(operation, dtype)
    )
    if missing:
        named = ", ".join(f"{operation} on {dtype}" for operation, dtype in missing)
        raise ValueError(f"Target {target.name!r} has no kernel for: {named}.")
