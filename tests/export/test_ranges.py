"""Narrowed ranges: nothing is lost that an int8 file could tell, and the rest is told better."""

import keras
import numpy as np
import pytest

import export
import zoo
from export import recipes, targets
from export.calibration import closed_loop_samples
from export.convert import convert
from export.data import as_sequences
from export.tflite_file import flatbuffer, narrow_ranges, rewrite
from lnn_keras import LiquidCell, LiquidRNN

layers = keras.layers


@pytest.fixture
def data(random):
    time = np.arange(120)[None, :, None] / 7 + random.random((3, 1, 3)) * 6
    return (np.sin(time) + 0.2 * random.standard_normal((3, 120, 3))).astype("float32")


def model_with_large_gains(layer):
    """Gates far in saturation, as training makes them."""
    model = keras.Sequential([keras.Input((None, 3), name="x"), layer, layers.Dense(2)])
    weights = model.layers[0].get_weights()
    model.layers[0].set_weights([w * 12 if w.shape[:1] == (3,) else w for w in weights])
    return model


def graph_of(model, data):
    step = export.to_step(model, fold_scaling=True)
    samples = closed_loop_samples(step, as_sequences(step, data))
    content = convert(step, recipes.get("int8"), targets.get("micro"), samples)
    unpacked = flatbuffer.unpack(content)
    (graph,) = unpacked.subgraphs
    return content, graph, flatbuffer.operation_names(unpacked, graph)


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
        numbers = np.clip(np.round(function(beyond) / scale) + zero_point, -128, 127)
        # One number for all, but for the last of TANH's, 1.0, that int8 cannot hold.
        assert np.unique(numbers).size == 1


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.LSTM(6, return_sequences=True),
        lambda: LiquidRNN(LiquidCell(6, unfolds=2), return_sequences=True),
    ],
)
def test_gates_resolve_the_part_that_matters(layer, data):
    _, graph, names = graph_of(model_with_large_gains(layer()), data)
    checked = 0
    for name, operator in zip(names, graph.operators, strict=True):
        # A state keeps its range: it is given out as well.
        if name in narrow_ranges.LIMITS and operator.inputs[0] not in graph.outputs:
            low, high = narrow_ranges.real_range(graph.tensors[operator.inputs[0]])
            # TANH and LOGISTIC may share one tensor, split between them.
            assert max(-low, high) <= narrow_ranges.LIMITS["LOGISTIC"] * 1.02
            checked += 1
    assert checked >= 2


def test_a_product_has_its_own_range_and_not_that_of_its_sum(data):
    layer = LiquidRNN(LiquidCell(6, unfolds=1), return_sequences=True)
    model = model_with_large_gains(layer)
    _, graph, names = graph_of(model, data)
    hidden = keras.Model(model.inputs, model.layers[0].output).predict(data, verbose=0)
    recurrent = hidden @ np.asarray(layer.cell.recurrent_kernel)
    input_of_state = {int(i) for i in graph.inputs if graph.tensors[i].shape[-1] == 6}
    products = [
        operator.outputs[0]
        for name, operator in zip(names, graph.operators, strict=True)
        if name == "FULLY_CONNECTED" and int(operator.inputs[0]) in input_of_state
    ]
    (product,) = products
    low, high = narrow_ranges.real_range(graph.tensors[product])
    assert high - low < 1.3 * (max(recurrent.max(), 0) - min(recurrent.min(), 0))


def test_the_bundled_model_comes_closer_to_keras(monkeypatch):
    """A trained model on a real trace, with narrowed ranges and without."""
    model, samples = zoo.load("half-cheetah-micro"), zoo.samples("half-cheetah-micro")
    narrowed, _, _ = graph_of(model, samples["calibration"])
    monkeypatch.setattr(rewrite, "narrow_ranges", lambda *arguments: None)
    plain, _, _ = graph_of(model, samples["calibration"])
    errors = []
    for content in (narrowed, plain):
        report = export.verify(model, content, samples["inputs"])
        errors.append(report.results[1].output_error)
    assert errors[0] < 0.9 * errors[1]
