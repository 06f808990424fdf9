"""Methods of a layer as pure functions, which take its weights as an argument."""

import keras
from keras import ops


class _Called(keras.layers.Layer):
    """A method as a layer, so that Keras casts weights in gradients too."""

    def __init__(self, method, dtype):
        super().__init__(dtype=dtype, name="pure")
        self.method = method

    def call(self, *args, **kwargs):
        return self.method(*args, **kwargs)


def weights_of(layer) -> list:
    """The values of all weights of a layer, as tensors."""
    return [ops.cast(weight.value, weight.dtype) for weight in layer.variables]


def pure(layer, method):
    """A method as a function (weights, *tensors, **others), of weights as `weights_of` gives them.

    Without any it takes the layer's own.
    """
    called = _Called(method, layer.dtype_policy)

    def function(weights, *args, **kwargs):
        if not weights:
            return method(*args, **kwargs)
        mapping = list(zip(layer.variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return called(*args, **kwargs)

    return function
