"""Narrowed ranges of an int8 file: the useful part of a gate's input is resolved more finely."""

import keras
import numpy as np
import pytest
from export_models import calibrated, sequential, step_file

from export.tflite_file import flatbuffer, narrow_ranges
from lnn_keras import LiquidCell, LiquidRNN

layers = keras.layers


def model_with_large_gains(layer):
    """A model that drives its gates far into saturation, as trained ones do."""
    model = sequential(layer)
    weights = layer.get_weights()
    layer.set_weights([w * 12 if w.shape[:1] == (3,) else w for w in weights])
    return model


def graph_of(model, data):
    """The file's graph and the names of its operations."""
    unpacked = flatbuffer.unpack(step_file(*calibrated(model, data, fold_scaling=True)))
    (graph,) = unpacked.subgraphs
    return graph, flatbuffer.operation_names(unpacked, graph)


def range_of(tensor):
    """The least and the greatest real value of an int8 tensor."""
    (scale,), (zero_point,) = tensor.quantization.scale, tensor.quantization.zeroPoint
    return (-128 - zero_point) * scale, (127 - zero_point) * scale


@pytest.mark.parametrize(
    ("operation", "function", "scale", "zero_point"),
    [
        ("LOGISTIC", lambda x: 1 / (1 + np.exp(-x)), 1 / 256, -128),
        ("TANH", np.tanh, 1 / 128, 0),
    ],
)
def test_beyond_the_limits_the_output_does_not_change(operation, function, scale, zero_point):
    limit = narrow_ranges.LIMITS[operation]
    for sign in (-1, 1):
        beyond = sign * np.linspace(limit + 1e-6, 60, 500)
        # 1.0 of TANH is not an int8 value, so it is clipped to the one below.
        quantized = np.clip(np.round(function(beyond) / scale) + zero_point, -128, 127)
        assert np.unique(quantized).size == 1


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.LSTM(6, return_sequences=True),
        lambda: LiquidRNN(LiquidCell(6, unfolds=2), return_sequences=True),
    ],
    ids=["lstm", "liquid"],
)
def test_inputs_of_gates_end_at_saturation(layer, signal):
    graph, names = graph_of(model_with_large_gains(layer()), signal)
    checked = 0
    for name, operator in zip(names, graph.operators, strict=True):
        # A state is an output too, and keeps its range.
        if name in narrow_ranges.LIMITS and operator.inputs[0] not in graph.outputs:
            low, high = range_of(graph.tensors[operator.inputs[0]])
            # TANH and LOGISTIC may read parts of one tensor.
            assert max(-low, high) <= narrow_ranges.LIMITS["LOGISTIC"] * 1.02
            checked += 1
    assert checked >= 2


def test_a_product_gets_the_range_of_its_values_not_that_of_its_sum(signal):
    layer = LiquidRNN(LiquidCell(6, unfolds=1), return_sequences=True)
    graph, names = graph_of(model_with_large_gains(layer), signal)
    recurrent = np.asarray(layer(signal)) @ np.asarray(layer.cell.recurrent_kernel)
    state_inputs = {int(i) for i in graph.inputs if graph.tensors[i].shape[-1] == 6}
    (product,) = [
        operator.outputs[0]
        for operator, name in zip(graph.operators, names, strict=True)
        if name == "FULLY_CONNECTED" and int(operator.inputs[0]) in state_inputs
    ]
    low, high = range_of(graph.tensors[product])
    assert high - low < 1.3 * (max(recurrent.max(), 0) - min(recurrent.min(), 0))
