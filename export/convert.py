"""Conversion of a model's forms to a .tflite file, for a recipe and a target."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from export.artifact import Artifact
from export.c.compile import c_model
from export.calibration import within_range
from export.converter_process import SAMPLES, converter
from export.forms.form import Form
from export.forms.names import NEXT
from export.forms.step import Step
from export.graph import kernel_check, tf_graph
from export.graph.fold_linear import fold_linear_maps
from export.graph.gptq import round_weights
from export.graph.missing_values import without_missing_values
from export.graph.normalization import rewrite_normalizations
from export.graph.substitute_ops import substitute
from export.graph.whole_slices import without_whole_slices
from export.recipes import Recipe
from export.runtimes.observed_ranges import observed_ranges
from export.targets import SEQUENCE, STEP, Target
from export.tflite_file import flatbuffer, rewrite
from export.tflite_file.bias_scales import match_bias_scales
from export.tflite_file.flatbuffer import Tensor
from export.tflite_file.own_files import remember
from export.tflite_file.tensor_names import rename_tensors
from export.tflite_file.verifier import require_sound

Samples: TypeAlias = Sequence[dict[str, np.ndarray]]

CALIBRATION_ROUNDS = 3
RANGE_SAMPLES = 2000
STATE_BATCH = 1024


def artifact(
    step: Step | None,
    recipe: Recipe,
    target: Target,
    samples: Iterable[dict[str, np.ndarray]] = (),
    sequence: Form | None = None,
) -> Artifact:
    """Return a model's forms for a target: one .tflite file, or the C source of the step.

    The arguments and errors are those of `convert`.
    """
    if target.name == "c" and step is not None:
        return c_model(step, recipe, list(samples))
    return convert(step, recipe, target, samples, sequence)


def convert(
    step: Step | None,
    recipe: Recipe,
    target: Target,
    samples: Iterable[dict[str, np.ndarray]] = (),
    sequence: Form | None = None,
) -> bytes:
    """Convert a model's forms to one .tflite file with one signature per form.

    Args:
        step: The step form, or None for a file of whole sequences.
        recipe: The dtypes of the file.
        target: The device that runs the file.
        samples: Inputs and states of typical steps, by name; for integer recipes.
        sequence: The sequence form, for a file that also has this signature.

    Raises:
        ValueError: The target has no kernel for an operation; the message names its layer.
        RuntimeError: The converter failed or crashed.
    """
    samples = list(samples)
    functions = {}
    if step is not None:
        functions[STEP] = _step_function(step, recipe, target, samples)
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
                f"{', '.join(functions)} to {recipe.name}",
            )

        if recipe.is_integer and step is not None:
            content = _convert_calibrated(run_converter, step, samples)
        else:
            content = run_converter(samples)
        content = rewrite.raise_minimum_runtime(content, recipe.runtime.version)
        content = rewrite.share_constants(rewrite.select_by_version_2(content))
        content = rename_tensors(content)
    require_operations(content, target)
    # A file that other processes would refuse must not be written.
    require_sound(content)
    remember(content)
    return content


def _step_function(step: Step, recipe: Recipe, target: Target, samples: Samples):
    """The step as a ConcreteFunction of operations that the target has."""
    # Calibration runs sample by sample, and a dynamic batch would make shapes variable.
    function = tf_graph.trace(step.model, 1 if recipe.is_integer else target.batch)
    flat = tf_graph.flatten(function)
    if recipe.is_integer:
        kernel_check.require_read_inputs(flat, recipe)
        kernel_check.require_no_loops(flat, step.model, recipe)
        flat = without_whole_slices(tf_graph.flatten(without_missing_values(flat)))
        flat = tf_graph.flatten(rewrite_normalizations(flat, recipe.activations))
        flat = tf_graph.flatten(fold_linear_maps(flat))
        function = substitute(flat, step.model, recipe, target, samples)
        function = round_weights(tf_graph.flatten(function), recipe, samples)
        flat = tf_graph.flatten(function)
    kernel_check.require_kernels(flat, step.model, recipe, target)
    return function


def _convert_calibrated(
    run_converter: Callable[[Samples], bytes], step: Step, samples: Samples
) -> bytes:
    """Convert with one scale per state as input and as output, then narrow the ranges."""
    ranges = _state_ranges(step, samples)
    original = samples = _reaching(samples, ranges)
    content = b""
    for _ in range(CALIBRATION_ROUNDS):
        content = rewrite.share_state_scales(run_converter(samples))
        different = rewrite.states_with_two_scales(flatbuffer.read_signature(content))
        wanted = {
            state.name: _calibration_range(following, *ranges[state.name])
            for state, following in different
        }
        if wanted.items() <= ranges.items():
            break
        ranges |= wanted
        samples = _reaching(original, ranges)
    # The rest, for example a state with an initial value that its operation never returns.
    content = rewrite.repair_zero_scales(rewrite.requantize_states(content))
    content = match_bias_scales(content)
    # 16-bit activations are fine enough without narrower ranges.
    if flatbuffer.read_signature(content).inputs[0].dtype != "int8":
        return content
    observed = observed_ranges(content, samples, RANGE_SAMPLES)
    return match_bias_scales(rewrite.narrow_file(content, observed))


def _state_ranges(step: Step, samples: Samples) -> dict[str, tuple[float, float]]:
    """Least and greatest value of each state, over the samples and the steps after them."""
    model: Any = step.model
    ranges = {name: (np.inf, -np.inf) for name in step.initial_states}
    for start in range(0, len(samples), STATE_BATCH):
        chunk = samples[start : start + STATE_BATCH]
        stacked = {name: np.concatenate([s[name] for s in chunk]) for name in chunk[0]}
        following = model(stacked, training=False)
        for name, (low, high) in ranges.items():
            both = np.concatenate([stacked[name], np.asarray(following[NEXT + name])])
            ranges[name] = min(low, float(both.min())), max(high, float(both.max()))
    return ranges


def _reaching(samples: Samples, ranges: dict[str, tuple[float, float]]) -> Samples:
    """The samples, with more that reach the ends of the states' ranges where they do not."""
    for name, (low, high) in ranges.items():
        values = np.stack([sample[name] for sample in samples])
        if (values.min(), values.max()) != (low, high):
            samples = within_range(samples, name, low, high)
    return samples


def _calibration_range(following: Tensor, low: float, high: float) -> tuple[float, float]:
    """The range of a state's output, which an operation such as TANH may fix.

    It is wider if the state starts outside.
    """
    least, greatest = following.range
    step = following.scale
    return (
        least if low > least - step else low,
        greatest if high < greatest + step else high,
    )


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
