"""Biases of integer files: each product adds its bias in its own units, however many are equal."""

import functools

import keras
import numpy as np
import pytest
from export_models import WIRING, calibrated, reset_names_and_seeds, step_file

from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import rollout
from export.tflite_file import flatbuffer
from export.tflite_file.bias_scales import match_bias_scales
from lnn_keras import LiquidRNN, WiredCfCCell

layers = keras.layers


def sequences(layer):
    return layer(6, return_sequences=True)


def two_branches(x):
    """Two Dense layers with the same bias, of inputs with other ranges."""
    hidden = sequences(layers.SimpleRNN)(x)
    return layers.Dense(6, "tanh")(hidden) + layers.Dense(6, "sigmoid")(x * 20.0)


def chain(*parts):
    return lambda x: functools.reduce(lambda value, part: part(value), parts, x)


MODELS = {
    "gru": lambda: sequences(layers.GRU),
    "gru-reset-before": lambda: layers.GRU(6, reset_after=False, return_sequences=True),
    "two-grus": lambda: chain(sequences(layers.GRU), sequences(layers.GRU)),
    "lstm": lambda: chain(sequences(layers.LSTM), layers.Dense(6)),
    "simple": lambda: chain(
        sequences(layers.SimpleRNN), layers.Dense(6, "relu"), layers.Dense(6, "tanh")
    ),
    "two-branches": lambda: two_branches,
    "wired-cfc": lambda: chain(
        LiquidRNN(WiredCfCCell(WIRING), return_sequences=True), layers.Dense(6)
    ),
}


def with_equal_biases(name, difference=0.0, clustered=True):
    """A model in which all biases of one length are equal, up to a difference.

    Where its kernels are clustered, files hold the biases as they are.
    """
    reset_names_and_seeds()
    x = keras.Input((None, 3), name="x")
    model = keras.Model(x, MODELS[name]()(x))
    random = np.random.default_rng(0)
    pattern = random.normal(size=6) * 0.5
    for variable in model.trainable_variables:
        value = variable.numpy()
        if "bias" in variable.name:
            value = np.broadcast_to(np.resize(pattern, value.shape[-1]), value.shape)
            variable.assign(value + difference * random.normal(size=value.shape))
        elif clustered:
            variable.assign(np.sign(value) * 0.4)
    return model


@pytest.fixture(scope="module")
def converted(signal):
    """A function from the arguments of `with_equal_biases` and a recipe to model and file."""

    @functools.cache
    def convert_once(name, recipe, **options):
        model = with_equal_biases(name, **options)
        return model, step_file(*calibrated(model, signal), recipe)

    return convert_once


def error(model, content, data, runtime=Micro):
    """RMS error of the outputs in closed loop, relative to their deviation."""
    (found,) = rollout(runtime(content), {"x": data}).outputs.values()
    expected = np.asarray(model(data))
    return np.sqrt(np.mean((found - expected) ** 2)) / expected.std()


def readers_of_biases(model):
    """The graph of an unpacked file, and its products with a bias."""
    (graph,) = model.subgraphs
    names = flatbuffer.operation_names(model, graph)
    return graph, [
        operator
        for name, operator in zip(names, graph.operators, strict=True)
        if name == "FULLY_CONNECTED" and len(operator.inputs) > 2 and operator.inputs[2] >= 0
    ]


def scale_error(content):
    """The largest relative difference of the scale of a bias from that of its product."""
    graph, readers = readers_of_biases(flatbuffer.unpack(content))
    errors = []
    for reader in readers:
        tensors = [graph.tensors[index] for index in reader.inputs]
        of_input, of_weights, of_bias = (np.float64(t.quantization.scale) for t in tensors)
        errors.append(np.abs(of_bias / (of_input * of_weights) - 1).max())
    return max(errors)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in ("gru", "simple")))
        for name in MODELS
    ],
)
def test_equal_biases_are_exact_to_16_bits(name, converted, signal):
    model, content = converted(name, "int16x8")
    assert scale_error(content) < 1e-6
    assert error(model, content, signal) < 0.001


def test_every_runtime_agrees(converted, signal):
    model, content = converted("gru", "int16x8")
    for runtime in (Micro, LiteRT, functools.partial(LiteRT, xnnpack=False)):
        assert error(model, content, signal, runtime) < 0.001


def test_equal_and_unequal_biases_give_files_of_one_accuracy(converted, signal):
    unequal = error(*converted("gru", "int16x8", difference=1e-4), signal)
    assert error(*converted("gru", "int16x8"), signal) == pytest.approx(unequal, rel=0.5)


@pytest.mark.parametrize(
    ("name", "recipe", "clustered"), [("gru", "int16x8", False), ("simple", "int8", True)]
)
def test_biases_follow_scales_that_change_after_conversion(
    name, recipe, clustered, converted, signal
):
    """A state gets one scale as input and as output, and ranges are narrowed."""
    model, content = converted(name, recipe, difference=0.05, clustered=clustered)
    assert scale_error(content) < 1e-6
    assert error(model, content, signal) < 0.04


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_one_bias_of_two_products_is_divided(dtype, converted, signal):
    """A file whose products read one bias becomes the file in which each has its own."""
    recipe = {"int32": "int8", "int64": "int16x8"}[dtype]
    model, content = converted("two-branches", recipe)
    shared = flatbuffer.unpack(content)
    graph, readers = readers_of_biases(shared)
    assert {flatbuffer.dtype_of(graph.tensors[r.inputs[2]]) for r in readers} == {dtype}
    coarsest = max(readers, key=lambda r: graph.tensors[r.inputs[2]].quantization.scale[0])
    for reader in readers:
        reader.inputs = [*reader.inputs[:2], coarsest.inputs[2]]
    shared = flatbuffer.pack(shared)
    assert scale_error(shared) > 0.1
    divided = match_bias_scales(shared)
    assert scale_error(divided) < 1e-6
    assert error(model, divided, signal) < 1.1 * error(model, content, signal)
    assert match_bias_scales(divided) == divided
