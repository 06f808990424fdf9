"""Functions whose gradient recomputes them (rematerialization)."""

from collections.abc import Callable, Sequence

import keras

from lnn_keras.autodiff.custom_gradient import with_gradient
from lnn_keras.autodiff.vjp import vjp
from lnn_keras.tensors import Tensor


def recomputed(function: Callable, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Compute a function, and store nothing but its arguments for the gradient.

    Args:
        function: Pure function of tensors that returns a list of tensors.
        tensors: Floating-point tensors.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.checkpoint(function)(*tensors)

    def gradient(tensors, results, cotangents):
        return vjp(function, tensors, cotangents)

    return with_gradient(function, gradient, tensors)
