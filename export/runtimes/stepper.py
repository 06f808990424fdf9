"""A file as a stateful function, called once per time step as on a device."""

from collections.abc import Sequence

import keras
import numpy as np

from export import targets
from export.artifact import (
    Artifact,
    recipe_of,
    require_readable,
    step_signature,
    target_of,
)
from export.forms.step import Step, to_step
from export.runtimes.rollout import Runtime, feed_back, initial_inputs
from export.runtimes.start import start_runtimes
from export.tflite_file.interface import require_same_interface


class Stepper:
    """A runtime that keeps its states between calls, with real values as inputs and outputs.

    Args:
        runtime: Runs the step.
        step: The step form that the runtime's file was made of.
    """

    def __init__(self, runtime: Runtime, step: Step):
        self.runtime, self.step = runtime, step
        self.reset()

    @property
    def name(self) -> str:
        """The runtime's name."""
        return self.runtime.name

    def reset(self) -> None:
        """Return to the initial states."""
        self._values = initial_inputs(self.runtime.signature, self.step.initial_states)

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """Run one step on the data inputs, in the model's order, and return its output."""
        signature = self.runtime.signature
        named = dict(zip(self.step.inputs, inputs, strict=True))
        for tensor in signature.data_inputs:
            rows = np.reshape(named[tensor.name], (-1, self.step.features(tensor.name)))
            values = self.step.scalings[tensor.name].to_values(rows.astype("float32"))
            self._values[tensor.position] = tensor.quantize(values.reshape(tensor.shape))
        results = self.runtime.invoke(self._values)
        feed_back(signature, self._values, results)
        (output,) = signature.data_outputs
        real = output.dequantize(results[output.position])
        return self.step.scalings[output.name].to_real(real)[0]


def steppers(
    content: Artifact,
    model: keras.Model,
    runtime_names: Sequence[str] = (targets.XNNPACK, targets.MICRO, targets.C),
) -> list[Stepper]:
    """Return a file as a `Stepper` on each of its runtimes.

    Args:
        content: The bytes of the .tflite file, or a `CModel`.
        model: The Keras model that the file was made of, with one output.
        runtime_names: The runtimes to use. Those that the file's target lacks, or that have no
            wheel on this platform, are skipped.

    Raises:
        ValueError: The file does not belong to the model, or the model has several outputs.
        RuntimeError: A runtime rejects the file.
    """
    require_readable(content)
    step = to_step(model, fold_scaling=recipe_of(content).is_integer)
    require_same_interface(step_signature(content), step)
    if len(step.outputs) != 1:
        raise ValueError(f"The model must have one output; it has {', '.join(step.outputs)}.")
    possible = target_of(content).runtimes
    started, _, rejections = start_runtimes(
        content, [name for name in runtime_names if name in possible]
    )
    if rejections:
        raise RuntimeError(" ".join(rejections.values()))
    return [Stepper(runtime, step) for runtime in started]
