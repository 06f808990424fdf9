"""Tests for missing values, which an integer file does not need: an integer is never NaN."""

import functools
from typing import Any

import numpy as np

from export.graph.tf_graph import ConcreteFunction, FlatGraph, rebuild

# Bounds that the calibrated range of no integer tensor reaches.
LEAST_BOUND = 1e12
# By type of a test, its result for every number that an integer stands for.
_RESULTS = {"IsFinite": True, "IsInf": False, "IsNan": False}


def without_missing_values(flat: FlatGraph) -> ConcreteFunction:
    """Replace each choice that depends on a test for NaN or infinite values by one of its sides.

    The tests are those for finite, infinite and NaN values, and comparisons with a bound of at
    least 1e12.
    """
    chosen = {}
    for operation in flat.operations:
        if operation.type not in ("Select", "SelectV2"):
            continue
        result = _result(operation.inputs[0].op)
        if result is not None:
            shape = operation.outputs[0].shape
            chosen[operation.name] = functools.partial(_side, result, shape)
    return rebuild(flat, chosen)


def _result(test) -> bool | None:
    """The result of a test for all integers, or None if it depends on them."""
    import tensorflow as tf

    if test.type in ("Less", "LessEqual"):
        bound: Any = tf.get_static_value(test.inputs[1])
        return True if bound is not None and np.min(bound) >= LEAST_BOUND else None
    return _RESULTS.get(test.type)


def _side(result, shape, _, if_true, if_false):
    import tensorflow as tf

    side = if_true if result else if_false
    return side if side.shape == shape else tf.broadcast_to(side, shape)
