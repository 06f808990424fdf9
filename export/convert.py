"""A step and a recipe -> the bytes of a .tflite file. The one file that holds the converter."""

import tempfile
import warnings
from collections.abc import Iterable

import numpy as np

from export import flatbuffer
from export.calibration import within_range
from export.quiet import CapturedErrors
from export.ranges import visited_numbers
from export.recipes import Recipe
from export.runtimes.litert import make_interpreter
from export.step import NEXT, Step
from export.targets import Target

SIGNATURE = "step"
CALIBRATION_ROUNDS = 3
RANGE_SAMPLES = 2000


def convert(
    step: Step,
    recipe: Recipe,
    target: Target,
    samples: Iterable[dict[str, np.ndarray]] = (),
) -> bytes:
    """Convert one time step to a .tflite file with the signature `step`, batch 1.

    Args:
        step: The model as one time step.
        recipe: How numbers are stored and computed.
        target: Where the file will run.
        samples: Inputs and states of typical steps, by name; for recipes that calibrate.

    Raises:
        ValueError: The target has no kernel for an operation of the file.
        RuntimeError: The converter failed.
    """
    samples = list(samples)
    with tempfile.TemporaryDirectory() as folder:
        _save(step, folder)
        content = _run_converter(step, recipe, folder, samples)
        for _ in range(CALIBRATION_ROUNDS):
            signature = flatbuffer.read_signature(content)
            different = flatbuffer.differently_scaled_states(signature)
            if not different:
                break
            # A state comes back as its output holds it: in the range of that output, which
            # calibration cannot move where an operation fixes it, as TANH does.
            for state in different:
                name = state.name.removeprefix(NEXT)
                samples = within_range(samples, name, *state.range)
            content = _run_converter(step, recipe, folder, samples)
    if recipe.is_integer:
        content = flatbuffer.refine_integer_file(content, _visited(content, samples))
    require_operations(content, target)
    return content


def _visited(content, samples):
    """The numbers that an integer file's tensors hold on at most `RANGE_SAMPLES` samples."""
    signature = flatbuffer.read_signature(content)
    chosen = samples[:: -(-len(samples) // RANGE_SAMPLES)]
    numbers = [[t.quantize(sample[t.name]) for t in signature.inputs] for sample in chosen]
    return visited_numbers(make_interpreter(content, preserve_all_tensors=True), numbers)


def _run_converter(step, recipe, folder, samples):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if recipe.is_integer:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ((SIGNATURE, sample) for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    # The converter reports to stderr and warns of interpreters that it uses itself.
    with CapturedErrors() as errors, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return converter.convert()
        # It raises many types; all mean the same to the caller.
        except Exception as error:
            details = f"{str(error).strip()}\n{errors.read()}"
            raise RuntimeError(
                f"The TFLite converter failed on {step.model.name!r} to {recipe.name}.\n{details}"
            ) from error


def require_operations(content: bytes, target: Target) -> None:
    """Raise a ValueError that names each (operation, dtype) of the file that the target lacks."""
    missing = sorted(set(flatbuffer.read_operations(content)) - target.operations)
    if missing:
        named = ", ".join(f"{operation} on {dtype}" for operation, dtype in missing)
        raise ValueError(f"Target {target.name!r} has no kernel for: {named}.")


def _save(step, folder):
    import tensorflow as tf

    specification = {
        tensor.name: tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, name=tensor.name)
        for tensor in step.model.inputs
    }
    # As constants: the converter would leave variables for an initializer to fill.
    trainable = [tf.constant(variable.numpy()) for variable in step.model.trainable_variables]
    frozen = [tf.constant(variable.numpy()) for variable in step.model.non_trainable_variables]

    def run(**tensors):
        outputs, _ = step.model.stateless_call(trainable, frozen, tensors, training=False)
        return outputs

    module = tf.Module()
    module.step = tf.function(run, autograph=False)
    concrete = module.step.get_concrete_function(**specification)
    tf.saved_model.save(module, folder, signatures={SIGNATURE: concrete})
