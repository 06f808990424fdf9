"""Keras as a runtime: the step form in float32, the reference for every other runtime."""

import time
from typing import Any

import keras
import numpy as np

from export.forms.names import NEXT
from export.forms.step import Step
from export.runtimes.rollout import LocalRuntime, Rollout
from export.tflite_file.flatbuffer import Signature, Tensor


class KerasStep(LocalRuntime):
    """Runs the step form of a model in Keras, in float32.

    Args:
        step: The step form.
    """

    name = "Keras"

    def __init__(self, step: Step):
        import tensorflow as tf

        self.step = step
        specs = {
            name: tf.TensorSpec((1, *spec.shape[1:]), spec.dtype)
            for name, spec in step.model.input_specs.items()
        }

        @tf.function(autograph=False)
        def run(values):
            with keras.StatelessScope():
                return step.model(values, training=False)

        self._run = run.get_concrete_function(specs)
        self.signature = Signature(
            _tensors(specs), _tensors(dict(self._run.structured_outputs.items()))
        )

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        import tensorflow as tf

        named = {
            tensor.name: tf.constant(value)
            for tensor, value in zip(self.signature.inputs, inputs, strict=True)
        }
        results: Any = self._run(named)
        return [results[tensor.name].numpy() for tensor in self.signature.outputs]


def keras_rollout(step: Step, inputs: dict[str, np.ndarray]) -> Rollout:
    """Run the step form in Keras over all sequences at once, each from its initial states.

    Args:
        step: The step form.
        inputs: By name, each (batch, time, values), as `as_sequences` returns them.
    """
    import tensorflow as tf

    batch, length = next(iter(inputs.values())).shape[:2]
    by_time = {
        name: tf.constant(
            np.moveaxis(values, 1, 0).reshape(
                length, batch, *step.model.input_specs[name].shape[1:]
            )
        )
        for name, values in inputs.items()
    }
    states = {
        name: tf.constant(np.repeat(value, batch, axis=0))
        for name, value in step.initial_states.items()
    }

    @tf.function(autograph=False)
    def run(by_time, states):
        names = [*step.outputs, *(NEXT + name for name in states)]
        arrays = {name: tf.TensorArray("float32", size=length) for name in names}

        def advance(t, states, arrays):
            rows = {name: values[t] for name, values in by_time.items()}
            # Layers that write to their variables leave them unchanged.
            with keras.StatelessScope():
                results: Any = step.model({**rows, **states}, training=False)
            arrays = {name: array.write(t, results[name]) for name, array in arrays.items()}
            return t + 1, {name: results[NEXT + name] for name in states}, arrays

        _, _, arrays = tf.while_loop(lambda t, *_: t < length, advance, (0, states, arrays))
        return {name: array.stack() for name, array in arrays.items()}

    concrete = run.get_concrete_function(by_time, states)
    start = time.perf_counter()
    results = concrete(by_time, states)
    seconds = (time.perf_counter() - start) / (batch * length)
    values = {name: np.moveaxis(value.numpy(), 0, 1) for name, value in results.items()}
    return Rollout(
        outputs={name: values[name] for name in step.outputs},
        states={name: values[NEXT + name] for name in states},
        seconds=np.full(batch * length, seconds),
    )


def _tensors(specs: dict[str, Any]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name, position, (1, *spec.shape[1:]), spec.dtype.name, scale=0.0, zero_point=0)
        for position, (name, spec) in enumerate(specs.items())
    )
