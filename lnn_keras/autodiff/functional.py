"""Methods of a layer as pure functions of the layer's weights."""

from collections.abc import Callable

import keras

from lnn_keras.compat import weights_as, weights_dtype
from lnn_keras.tensors import Tensor, ops


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
        empty list it reads the layer's own weights. It reads them in the dtype in which Keras
        reads weights now, for instance in the compute dtype of the layer that is being called.
    """
    # A gradient may call the function when the layer's own call, and its dtype, have ended.
    dtype = weights_dtype()

    def function(weights, *args, **kwargs):
        with weights_as(dtype):
            if not weights:
                return method(*args, **kwargs)
            mapping = list(zip(layer.weights, weights, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return method(*args, **kwargs)

    return function
