"""Gradients of one function on Keras's backend: the one file that knows the backends by name."""

import keras
from keras import ops


def vjp(function, inputs, cotangents):
    """The gradients of sum(cotangents * function(*inputs)) with respect to the inputs.

    Args:
        function: Pure function of tensors that returns a list of tensors.
        inputs: List of floating-point tensors.
        cotangents: List of tensors, of the shapes of what `function` returns.

    Returns:
        List of tensors of the shapes of the inputs.
    """
    return _VJP[keras.backend.backend()](function, list(inputs), list(cotangents))


def _tensorflow(function, inputs, cotangents):
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        outputs = function(*inputs)
    return tape.gradient(outputs, inputs, output_gradients=cotangents, unconnected_gradients="zero")


def _jax(function, inputs, cotangents):
    import jax

    _, pull_back = jax.vjp(function, *inputs)
    return list(pull_back(cotangents))


def _torch(function, inputs, cotangents):
    import torch

    with torch.enable_grad():
        inputs = [tensor.detach().requires_grad_() for tensor in inputs]
        # An output that no input reaches has no gradient to ask for.
        pairs = [
            (output, cotangent)
            for output, cotangent in zip(function(*inputs), cotangents, strict=True)
            if output.requires_grad
        ]
        found = torch.autograd.grad(
            [output for output, _ in pairs],
            inputs,
            [cotangent for _, cotangent in pairs],
            allow_unused=True,
        )
    return [
        ops.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(inputs, found, strict=True)
    ]


_VJP = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
