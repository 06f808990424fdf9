"""The forms of a model, a recipe and a target -> the bytes of a .tflite file."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np

from export.calibration import within_range
from export.converter_process import SAMPLES, Converter
from export.forms.step import NEXT, Step
from export.graph import kernel_check, tf_graph
from export.graph.fold_linear import fold_linear_maps
from export.graph.gptq import round_weights
from export.graph.substitute_ops import substitute
from export.recipes import Recipe
from export.runtimes.litert import make_interpreter
from export.targets import SEQUENCE, STEP, Target
from export.tflite_file import flatbuffer
from export.tflite_file.narrow_ranges import visited_numbers

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
    """Convert a model's forms to one .tflite file, in which each is a signature.

    Args:
        step: The model as one time step.
        recipe: How numbers are stored and computed.
        target: Where the file will run.
        samples: Inputs and states of typical steps, by name; for recipes that calibrate.
        sequence: The model over sequences, if the file is to hold it as well.

    Raises:
        ValueError: The target has no kernel for an operation; its layer is named.
        RuntimeError: The converter failed or crashed.
    """
    samples = list(samples)
    functions = {STEP: _step_function(step, recipe, target, samples)}
    if sequence is not None:
        functions[SEQUENCE] = tf_graph.trace(sequence, None)
    with tempfile.TemporaryDirectory() as folder:
        tf_graph.save(functions, folder)

        def run(samples):
            if samples:
                stacked = {name: np.stack([s[name] for s in samples]) for name in samples[0]}
                np.savez(Path(folder) / SAMPLES, **stacked)
            return converter.convert(
                folder,
                list(functions),
                {"activations": recipe.activations, "weights": recipe.weights},
                f"{step.model.name!r} ({', '.join(functions)}) to {recipe.name}",
            )

        content = _calibrated(run, samples) if recipe.is_integer else run(samples)
        content = flatbuffer.share_constants(content)
    require_operations(content, target)
    return content


def _step_function(step, recipe, target, samples):
    """The step as a function of operations that the target has."""
    # Ranges are measured sample by sample; shapes of any batch would hide constants.
    function = tf_graph.trace(step.model, 1 if recipe.is_integer else target.batch)
    flat = tf_graph.flatten(function)
    if recipe.is_integer:
        kernel_check.require_no_loops(flat, step.model, recipe)
        flat = tf_graph.flatten(fold_linear_maps(flat))
        function = substitute(flat, step.model, recipe, target, samples)
        function = round_weights(tf_graph.flatten(function), recipe, samples)
        flat = tf_graph.flatten(function)
    kernel_check.require_kernels(flat, step.model, recipe, target)
    return function


def _calibrated(run, samples):
    """Calibrate until each state comes back as it left, then narrow the ranges."""
    for _ in range(CALIBRATION_ROUNDS + 1):
        content = flatbuffer.share_state_scales(run(samples))
        different = flatbuffer.differently_scaled_states(flatbuffer.read_signature(content))
        if not different:
            break
        # A state comes back as its output holds it: in the range of that output, which
        # calibration cannot move where an operation fixes it, as TANH does.
        for state in different:
            name = state.name.removeprefix(NEXT)
            samples = within_range(samples, name, *state.range)
    if different:
        raise ValueError(
            f"The state {different[0].name.removeprefix(NEXT)!r} has another scale as input than "
            f"as output ({different[0].scale:.6g}), so it cannot be fed back."
        )
    # 16-bit numbers resolve what matters without.
    if flatbuffer.read_signature(content).inputs[0].dtype != "int8":
        return content
    return flatbuffer.narrow_file(content, _visited(content, samples))


def _visited(content, samples):
    """The numbers that an integer file's tensors hold on at most `RANGE_SAMPLES` samples."""
    signature = flatbuffer.read_signature(content)
    chosen = samples[:: -(-len(samples) // RANGE_SAMPLES)]
    numbers = [[t.quantize(sample[t.name]) for t in signature.inputs] for sample in chosen]
    interpreter = make_interpreter(content, preserve_all_tensors=True, xnnpack=False)
    return visited_numbers(interpreter, numbers)


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
