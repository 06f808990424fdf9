"""A file that answers one step after another, as it does on a device."""

from collections.abc import Sequence

import keras
import numpy as np

from export import runtimes, targets
from export.forms.step import Step, to_step
from export.runtimes import Runtime
from export.tflite_file.interface import recipe_of, require_same_interface, target_of


class Stepper:
    """A runtime that keeps its state from call to call, with real numbers in and out.

    Args:
        runtime: What runs the step.
        step: The step that its file was made of.
    """

    def __init__(self, runtime: Runtime, step: Step):
        self.runtime, self.step = runtime, step
        self.reset()

    @property
    def name(self) -> str:
        """The runtime's name."""
        return self.runtime.name

    def reset(self) -> None:
        """Return to the initial state."""
        signature = self.runtime.signature
        initial = {state.name: state.initial for state in self.step.states}
        self._raw = [np.zeros(tensor.shape, tensor.dtype) for tensor in signature.inputs]
        for state, _ in signature.states:
            self._raw[state.position] = state.quantize(initial[state.name])

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """The model's output for the inputs of one step, in their order."""
        signature = self.runtime.signature
        given = dict(zip(self.step.inputs, inputs, strict=True))
        for tensor in signature.data_inputs:
            values = np.reshape(np.asarray(given[tensor.name], "float32"), tensor.shape)
            values = self.step.scalings[tensor.name].to_values(values)
            self._raw[tensor.position] = tensor.quantize(values)
        results = self.runtime.invoke(self._raw)
        for state, next_state in signature.states:
            self._raw[state.position] = results[next_state.position]
        (output,) = signature.data_outputs
        real = output.dequantize(results[output.position])
        return self.step.scalings[output.name].to_real(real)[0]


def steppers(
    content: bytes,
    model: keras.Model,
    runtime_names: Sequence[str] = (targets.XNNPACK, targets.MICRO),
) -> list[Stepper]:
    """A file in each of its runtimes, one step at a time.

    Args:
        content: The bytes of the .tflite file.
        model: The Keras model that the file was made of, with one output.
        runtime_names: The runtimes to run; those that the file's target has not, or that
            have no wheel here, are left out.

    Raises:
        ValueError: The file does not fit the model, or that has several outputs.
        RuntimeError: A runtime refuses the file.
    """
    step = to_step(model, fold_scaling=recipe_of(content).is_integer)
    require_same_interface(content, step)
    if len(step.outputs) != 1:
        raise ValueError(f"The model must have one output; it has {', '.join(step.outputs)}.")
    possible = target_of(content).runtimes
    started, _, refused = runtimes.start(
        content, [name for name in runtime_names if name in possible]
    )
    if refused:
        raise RuntimeError(" ".join(refused.values()))
    return [Stepper(runtime, step) for runtime in started]
