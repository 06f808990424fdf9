"""Methods of a layer as pure functions of the layer's weights."""

from collections.abc import Callable

import keras

from lnn_keras.tensors import Tensor, ops


class _MethodLayer(keras.layers.Layer):
    """A method as a layer, so that Keras casts the weights to the compute dtype."""

    def __init__(self, method, dtype):
        super().__init__(dtype=dtype, name="pure")
        self.method = method

    def call(self, *args, **kwargs):
        return self.method(*args, **kwargs)


def weights_of(layer: keras.layers.Layer) -> list[Tensor]:
    """The values of all weights of a layer, without the states of its random generators."""
    return [ops.cast(weight.value, weight.dtype) for weight in layer.weights]


def pure(layer: keras.layers.Layer, method: Callable) -> Callable:
    """Turn a method of a layer into a function of the layer's weights.

    Args:
        layer: A built layer.
        method: A method of it, or a function that calls its methods.

    Returns:
        Function (weights, *args, **kwargs), with weights in the order of `weights_of`. With an
        empty list it reads the layer's own weights.
    """
    wrapped = _MethodLayer(method, layer.dtype_policy)

    def function(weights, *args, **kwargs):
        if not weights:
            return method(*args, **kwargs)
        mapping = list(zip(layer.weights, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return wrapped(*args, **kwargs)

    return function
