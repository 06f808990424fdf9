"""gradients: how the explained output changes with each input."""

from typing import Any

import keras
import numpy as np

from lnn_keras.autodiff.vjp import value_and_vjp
from lnn_keras.compat import predict
from lnn_keras.inspect.saliency_inputs import checked_inputs, packed
from lnn_keras.inspect.targets import Target, require_target, target_values
from lnn_keras.tensors import ops


def gradients(model: Any, inputs: Any, target: Target = None, batch_size: int = 32) -> Any:
    """The derivative of the explained output by each input.

        attribution[b, t, f] = d target_b / d inputs[b, t, f]

    It says how a small change of an input changes the output, not how much the input contributes
    to it: a gate that is closed hides an input from the gradient. Gradient times input, a rough
    contribution, is the product with `inputs`; `integrated_gradients` is the exact form.

    Args:
        model: A Keras model or layer.
        inputs: Its inputs, arrays (batch, time, ...) in the structure that the model takes.
        target: The explained output: None for a model with one; the number of an output; a step
            and the number of an output; or a function from the outputs to (batch,). Of outputs at
            every step, None and a number take the last step.
        batch_size: The number of sequences that are computed at once.

    Returns:
        Arrays of the structure and shapes of the inputs. Inputs of integers, for instance of an
        Embedding, have no derivative: NaN; `occlusion` takes them.

    Raises:
        ValueError: The inputs are not finite or not (batch, time, ...), all are integers, or
            the target does not fit the outputs.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(8))
    model = keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(1)])
    x = numpy.random.normal(size=(2, 20, 3))
    lnn_keras.inspect.gradients(model, x).shape    # (2, 20, 3)
    ```

    Reference: Simonyan, Vedaldi and Zisserman, Deep inside convolutional networks, 2014.
    """
    arrays = checked_inputs(model, inputs)
    _, found = GradientModel(model, inputs, target).run(arrays, batch_size)
    return packed(inputs, found)


class GradientModel(keras.Model):
    """A model whose outputs are the explained numbers, and their gradients by the inputs.

    Args:
        model: The model to explain.
        inputs: Its inputs, for their structure.
        target: The explained output.
    """

    def __init__(self, model: Any, inputs: Any, target: Target):
        super().__init__(name="gradient")
        require_target(model, inputs, target)
        self._model, self._target = model, target
        # In a function, since Keras would track the structure as parts of the model.
        self._packed = lambda tensors: packed(inputs, tensors)
        self.built = True

    def run(self, arrays: list[np.ndarray], batch_size: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """The explained numbers (batch,), and their gradients by each array."""
        is_float = [array.dtype.kind == "f" for array in arrays]
        if not any(is_float):
            raise ValueError(
                "Inputs of integers have no gradient; use `lnn_keras.inspect.occlusion`."
            )
        values, found = predict(self, arrays, batch_size)
        floats = iter(found)
        return values, [
            next(floats) if differentiable else np.full(array.shape, np.nan, "float32")
            for array, differentiable in zip(arrays, is_float, strict=True)
        ]

    def call(self, tensors):
        tensors = list(tensors)
        floats = [n for n, tensor in enumerate(tensors) if _is_float(tensor)]

        def explained(*values):
            for number, value in zip(floats, values, strict=True):
                tensors[number] = value
            outputs = self._model(self._packed(tensors), training=False)
            return [target_values(outputs, self._target)]

        points = [tensors[number] for number in floats]
        ones = ops.ones((ops.shape(points[0])[0],), "float32")
        (values,), found = value_and_vjp(explained, points, [ones])
        return values, found


def _is_float(tensor):
    return keras.backend.standardize_dtype(tensor.dtype).startswith("float")
