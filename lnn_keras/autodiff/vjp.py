"""Vector-Jacobian products on the TensorFlow, JAX and torch backends of Keras."""

from collections.abc import Callable, Sequence

import keras

from lnn_keras.tensors import Tensor, ops


def vjp(function: Callable, inputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> list[Tensor]:
    """Compute the gradients of sum(cotangents * function(*inputs)) with respect to the inputs.

    The gradients can be differentiated again, with respect to the inputs and the cotangents.

    Args:
        function: Pure function of tensors that returns a list of tensors.
        inputs: Floating-point tensors.
        cotangents: Tensors, of the shapes of the function's results.

    Returns:
        Tensors of the shapes of the inputs; zeros where the results do not depend on an input.
    """
    return _VJP[keras.backend.backend()](function, list(inputs), list(cotangents))


def _tensorflow(function, inputs, cotangents):
    import tensorflow as tf

    zero = tf.UnconnectedGradients.ZERO
    # The gradients of one tensor that is two inputs would be added up.
    inputs = [tf.identity(tensor) for tensor in inputs]
    if not tf.executing_eagerly():
        # A tape records nothing while a `tf.autodiff.ForwardAccumulator` transposes a gradient.
        return tf.gradients(
            function(*inputs), inputs, grad_ys=cotangents, unconnected_gradients=zero
        )
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        outputs = function(*inputs)
    return tape.gradient(outputs, inputs, output_gradients=cotangents, unconnected_gradients=zero)


def _jax(function, inputs, cotangents):
    import jax

    _, pull_back = jax.vjp(function, *inputs)
    return list(pull_back(cotangents))


def _torch(function, inputs, cotangents):
    import torch  # pyright: ignore[reportMissingImports] - an optional backend

    recorded = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views of their own, which an outer derivative can see through.
        inputs = [
            tensor.view_as(tensor)
            if recorded and tensor.requires_grad
            else tensor.detach().requires_grad_()
            for tensor in inputs
        ]
        # torch raises an error for a result that does not depend on the inputs.
        pairs = [
            (output, cotangent)
            for output, cotangent in zip(function(*inputs), cotangents, strict=True)
            if output.requires_grad
        ]
        gradients = torch.autograd.grad(
            [output for output, _ in pairs],
            inputs,
            [cotangent for _, cotangent in pairs],
            allow_unused=True,
            create_graph=recorded,
        )
    return [
        ops.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(inputs, gradients, strict=True)
    ]


_VJP = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
