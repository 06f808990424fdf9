"""Linear maps of one tensor with a transpose of their own."""

from collections.abc import Callable

import keras

from lnn_keras.autodiff.custom_gradient import with_gradient
from lnn_keras.autodiff.jax_primitives import linear_map as linear_map_of_list
from lnn_keras.tensors import Tensor


def linear_map(apply: Callable, transpose: Callable, tensor: Tensor) -> Tensor:
    """Apply a linear map. Its gradient is the transpose, and the gradient of that is the map.

    Args:
        apply: Function of one tensor. It may use no other tensors.
        transpose: The transposed map.
        tensor: Floating-point tensor.
    """
    if keras.backend.backend() == "jax":
        return _jax(apply, transpose, tensor)

    def gradient(tensors, results, cotangents):
        return [linear_map(transpose, apply, cotangents[0])]

    return with_gradient(lambda tensor: [apply(tensor)], gradient, [tensor])[0]


def _jax(apply, transpose, tensor):
    import jax

    return linear_map_of_list(
        lambda _, vectors: [apply(vectors[0])],
        lambda _, vectors: [transpose(vectors[0])],
        [],
        [tensor],
        like=[jax.eval_shape(apply, tensor)],
    )[0]
