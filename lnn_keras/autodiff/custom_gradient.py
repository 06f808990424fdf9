"""Functions with a gradient of their own that can be differentiated again."""

import itertools
from collections.abc import Callable, Sequence

import keras

from lnn_keras.tensors import Tensor

_NUMBERS = itertools.count()


def with_gradient(
    function: Callable, gradient: Callable, tensors: Sequence[Tensor]
) -> list[Tensor]:
    """Compute a function whose gradient is another function, on TensorFlow and torch.

    `keras.ops.custom_gradient` hands the gradient tensors that an outer tape does not see, so that
    second derivatives come out wrong. Here the gradient gets the tensors of the caller and the
    results as the caller sees them. Its operations can be differentiated to any order.

    Args:
        function: Pure function of tensors that returns a list of tensors.
        gradient: Function (tensors, results, cotangents) -> gradients for the tensors, made of
            differentiable operations.
        tensors: Floating-point tensors.

    Returns:
        The results of the function.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow(function, gradient, list(tensors))
    if backend == "torch":
        return _torch(function, gradient, list(tensors))
    # NumPy has no gradients.
    return list(function(*tensors))


def _tensorflow(function, gradient, tensors):
    import tensorflow as tf

    # Of a variable, a tensor that the function and its gradient share.
    tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
    if _has_tangents(tensors):
        return list(function(*tensors))
    outputs, count = [], 0

    @tf.custom_gradient
    def recorded(*_):
        nonlocal count
        # Eager TensorFlow would record every operation of the function on its own tape.
        results = list(function(*(tf.stop_gradient(tensor) for tensor in tensors)))
        count = len(results)
        return results, lambda *cotangents: gradient(tensors, outputs, list(cotangents))

    outputs[:] = recorded(*tensors)
    if tf.executing_eagerly():
        return outputs

    # TensorFlow copies the bodies of loops that it differentiates. A gradient that is called for
    # a copy must take its tensors from the copied operation. A tape sees an identity here.
    name = f"lnn_keras_gradient_{next(_NUMBERS)}"

    @tf.RegisterGradient(name)
    def _(operation, *cotangents):
        of_tensors = gradient(
            list(operation.inputs[count:]),
            list(operation.outputs[:count]),
            list(cotangents[:count]),
        )
        return [None] * count + of_tensors

    with tf.compat.v1.get_default_graph().gradient_override_map({"IdentityN": name}):
        outputs[:] = tf.identity_n([*outputs, *tensors])[:count]
    return outputs


def _has_tangents(tensors):
    """Whether a `tf.autodiff.ForwardAccumulator` watches the tensors.

    It does not see through a custom gradient. It records the operations of the function itself.
    """
    # Not exported by TensorFlow.
    from tensorflow.python.eager import forwardprop_util

    return bool(forwardprop_util.pack_tangents(tensors).tangents)


def _torch(function, gradient, tensors):
    import torch  # pyright: ignore[reportMissingImports] - an optional backend

    class Recorded(torch.autograd.Function):
        @staticmethod
        def forward(context, *tensors):
            results = tuple(function(*tensors))
            context.save_for_backward(*tensors, *results)
            return results

        @staticmethod
        def backward(context, *cotangents):
            saved = context.saved_tensors
            count = len(saved) - len(cotangents)
            return tuple(gradient(list(saved[:count]), list(saved[count:]), list(cotangents)))

    return list(Recorded.apply(*tensors))
