"""Transpositions whose gradient is a transposition by constants."""

import keras

from lnn_keras.autodiff.linear_map import linear_map
from lnn_keras.tensors import Tensor, ops


def transposed(tensor: Tensor) -> Tensor:
    """`keras.ops.transpose` with all axes in reverse order, for use within loops.

    TensorFlow's gradient of a transposition computes the order of the axes as a tensor. The
    gradient of a loop stores it like any value of a step, and XLA, which needs orders of axes as
    constants, then refuses the second gradient.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.transpose(tensor)
    return linear_map(ops.transpose, ops.transpose, tensor)
