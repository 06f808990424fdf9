"""Slices that take a whole tensor, such as `h[..., :units]`: they are the tensor itself.

The converter keeps such a slice in floats where it is an output of an 8-bit file and its tensor is
part of a state, so that the file would have outputs of two types.
"""

import numpy as np

from export.graph.tf_graph import FlatGraph, flatten, rebuild


def without_whole_slices(flat: FlatGraph) -> FlatGraph:
    """Remove the slices that return their input; other graphs are returned as they are."""
    whole = [operation.name for operation in flat.operations if _is_whole(operation)]
    if not whole:
        return flat
    return flatten(rebuild(flat, dict.fromkeys(whole, lambda tensor, *_: tensor)))


def _is_whole(operation) -> bool:
    """Whether a slice is known to return its input: equal shapes, and steps of 1."""
    import tensorflow as tf

    if operation.type != "StridedSlice":
        return False
    given, taken = operation.inputs[0].shape, operation.outputs[0].shape
    strides = tf.get_static_value(operation.inputs[3])
    return given.is_fully_defined() and given == taken and bool(np.all(strides == 1))
