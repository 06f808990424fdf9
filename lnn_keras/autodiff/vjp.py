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
    return value_and_vjp(function, inputs, cotangents)[1]


def value_and_vjp(
    function: Callable, inputs: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Compute a function, and the gradients of `vjp`, with one evaluation of the function.

    Returns:
        The results of the function, and the gradients.
    """
    return _VJP[keras.backend.backend()](function, list(inputs), list(cotangents))


def _tensorflow(function, inputs, cotangents):
    import tensorflow as tf

    zero = tf.UnconnectedGradients.ZERO
    # The gradients of one tensor that is two inputs would be added up.
    inputs = [tf.identity(tensor) for tensor in inputs]
    if not tf.executing_eagerly():
        # A tape records nothing while a `tf.autodiff.ForwardAccumulator` transposes a gradient.
        outputs = list(function(*inputs))
        gradients = tf.gradients(outputs, inputs, grad_ys=cotangents, unconnected_gradients=zero)
        return outputs, gradients
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        outputs = list(function(*inputs))
    gradients = tape.gradient(
        outputs, inputs, output_gradients=cotangents, unconnected_gradients=zero
    )
    return outputs, gradients


def _jax(function, inputs, cotangents):
    import jax

    outputs, pull_back = jax.vjp(function, *inputs)
    return list(outputs), list(pull_back(cotangents))


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
        outputs = list(function(*inputs))
        pairs = [
            (output, cotangent)
            for output, cotangent in zip(outputs, cotangents, strict=True)
            if output.requires_grad
        ]
        gradients = torch.autograd.grad(
            [output for output, _ in pairs],
            inputs,
            [cotangent for _, cotangent in pairs],
            allow_unused=True,
            create_graph=recorded,
        )
    gradients = [
        ops.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(inputs, gradients, strict=True)
    ]
    return [output if recorded else output.detach() for output in outputs], gradients


_VJP = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
