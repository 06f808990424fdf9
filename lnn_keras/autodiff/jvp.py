"""Jacobian-vector products on the TensorFlow, JAX and torch backends of Keras."""

from collections.abc import Callable, Sequence

import keras

from lnn_keras.autodiff.vjp import vjp
from lnn_keras.tensors import Tensor, ops


def jvp(
    function: Callable, inputs: Sequence[Tensor], tangents: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Compute a function, and the derivative of its results along a direction of its inputs.

    Args:
        function: Pure function of tensors that returns a list of tensors.
        inputs: Floating-point tensors.
        tangents: The direction: tensors of the shapes of the inputs.

    Returns:
        The results of the function, and their derivatives along the direction.
    """
    if keras.backend.backend() == "jax":
        import jax

        outputs, of_outputs = jax.jvp(function, tuple(inputs), tuple(tangents))
        return list(outputs), list(of_outputs)
    outputs = list(function(*inputs))
    # The vector-Jacobian product J^T u is linear in u, so its own gradient for u is J v.
    zeros = [ops.zeros_like(output) for output in outputs]
    return outputs, vjp(lambda *u: vjp(function, inputs, u), zeros, tangents)
