"""Keras as a runtime: the step form in float32, the reference for every other runtime."""

from typing import Any

import numpy as np

from export.forms.step import Step
from export.tflite_file.flatbuffer import Signature, Tensor


class KerasStep:
    """Runs the step form of a model in Keras, in float32.

    Args:
        step: The step form.
    """

    name = "Keras"

    def __init__(self, step: Step):
        import tensorflow as tf

        inputs = _tensors(step.model.input)
        outputs = _tensors(step.model.output)
        self.signature = Signature(inputs, outputs)

        @tf.function(
            input_signature=[[tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in inputs]],
            autograph=False,
        )
        def run(values):
            named = {tensor.name: value for tensor, value in zip(inputs, values, strict=True)}
            results: Any = step.model(named, training=False)
            return [results[tensor.name] for tensor in outputs]

        self._run = run

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        return [value.numpy() for value in self._run(inputs)]


def _tensors(named: Any) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name, position, (1, *tensor.shape[1:]), tensor.dtype, scale=0.0, zero_point=0)
        for position, (name, tensor) in enumerate(named.items())
    )
