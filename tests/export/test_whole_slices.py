"""Slices of whole tensors are removed from the graphs of integer files; others stay."""

import keras
import numpy as np
import pytest
from export_models import RECURRENT, calibrated, reset_names_and_seeds, step_file

from export.graph import tf_graph
from export.graph.whole_slices import without_whole_slices
from export.runtimes.litert import LiteRT
from export.runtimes.rollout import rollout
from export.tflite_file.flatbuffer import read_signature


def test_an_output_that_is_part_of_a_state_is_an_integer(signal):
    """The outputs of a wiring are a slice of its last layer, which its state holds too."""
    reset_names_and_seeds()
    x = keras.Input((None, 3), name="x")
    model = keras.Model(x, RECURRENT["wired-cfc"]()(x))
    content = step_file(*calibrated(model, signal))
    signature = read_signature(content)
    assert {tensor.dtype for tensor in (*signature.inputs, *signature.outputs)} == {"int8"}
    (outputs,) = rollout(LiteRT(content), {"x": signal}).outputs.values()
    np.testing.assert_allclose(outputs, model(signal), atol=0.05)


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        (lambda x: x[:, :4], True),
        (lambda x: x[:, 0:9], True),
        (lambda x: x[:, ::-1], False),
        (lambda x: x[:, 1:], False),
        (lambda x: x[:, None], False),
    ],
)
def test_only_whole_slices_are_removed(part, whole):
    import tensorflow as tf

    specification = tf.TensorSpec((1, 4), "float32", name="x")
    function = tf.function(lambda x: {"y": part(x) * 2.0}).get_concrete_function(specification)
    flat = tf_graph.flatten(function)
    found = without_whole_slices(flat)
    assert any(op.type == "StridedSlice" for op in flat.operations)
    assert any(op.type == "StridedSlice" for op in found.operations) != whole
    row = {"x": np.float32([[1, 2, 3, 4]])}
    ((expected,), (values,)) = (
        tf_graph.fetch(f, [f.outputs["y"]], [row])[0] for f in (flat, found)
    )
    np.testing.assert_array_equal(values, expected)
