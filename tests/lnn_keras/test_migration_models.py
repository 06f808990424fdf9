"""Whole models with layers of ncps 1.0.1 are converted in one call, with the same outputs."""

import keras
import numpy as np
import pytest
from keras import layers
from matrix import numbers, same

from lnn_keras import LiquidRNN, from_ncps

ncps = pytest.importorskip("ncps")
ncps_keras = pytest.importorskip("ncps.keras")
# On JAX, ncps fails with mixed memory and with masks.
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="ncps needs TensorFlow for these models"
)
STEPS, FEATURES = 4, 3


@pytest.fixture
def x(random):
    return random.standard_normal((2, STEPS, FEATURES)).astype("float32")


def ltc(**options):
    return ncps_keras.LTC(ncps.wirings.AutoNCP(6, 2), ode_unfolds=2, **options)


def cfc(**options):
    return ncps_keras.CfC(3, backbone_units=4, **options)


def sequential(*stack, name=None):
    return keras.Sequential([keras.Input((STEPS, FEATURES), name="signal"), *stack], name=name)


def shaken(model, random):
    """The model with random weights, so that equal outputs imply equal weights."""
    for weight in model.weights:
        weight.assign(numbers(weight) * random.uniform(0.7, 1.3, weight.shape) + 0.01)
    return model


def converted_equally(model, *arguments):
    """The converted model, after a check that its outputs are those of the model."""
    converted = from_ncps(model)
    expected, actual = model(*arguments), converted(*arguments)
    keras.tree.assert_same_structure(expected, actual)
    for one, other in zip(keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True):
        same(one, other, atol=1e-5)
    assert converted.name == model.name
    parts = [type(part).__module__ for part in converted._flatten_layers()]
    assert not any(module.startswith("ncps") for module in parts)
    return converted


def test_sequential(x, random):
    model = shaken(
        sequential(
            layers.Dense(3),
            ltc(return_sequences=True),
            layers.BatchNormalization(),
            cfc(name="reader"),
            layers.Dense(1),
            name="mine",
        ),
        random,
    )
    converted = converted_equally(model, x)
    assert type(converted) is keras.Sequential
    assert [layer.name for layer in converted.layers] == [layer.name for layer in model.layers]
    assert [type(layer) for layer in converted.layers] == [
        layers.Dense,
        LiquidRNN,
        layers.BatchNormalization,
        LiquidRNN,
        layers.Dense,
    ]
    assert converted.inputs[0].name == "signal"


def test_the_given_model_is_untouched(x, random):
    model = shaken(sequential(cfc(), layers.Dense(1)), random)
    before = numbers(model(x))
    converted = from_ncps(model)
    for weight in converted.weights:
        weight.assign(numbers(weight) + 1.0)
    np.testing.assert_array_equal(numbers(model(x)), before)


def test_functional_with_a_nested_model_and_layers_that_are_used_twice(x, random):
    signal = keras.Input((STEPS, FEATURES), name="signal")
    twice = cfc(return_sequences=True, name="twice")
    inner = sequential(ltc(return_sequences=True), layers.Dense(FEATURES), name="inner")
    hidden = inner(twice(twice(signal) * 2.0)) + inner(signal)
    hidden = layers.Lambda(lambda tensor: tensor + 1.0, name="shift")(hidden)
    outputs = {"value": layers.Dense(1, name="head")(hidden), "hidden": twice(signal)}
    model = shaken(keras.Model(signal, outputs, name="whole"), random)
    converted = converted_equally(model, x)
    assert [layer.name for layer in converted.layers] == [layer.name for layer in model.layers]
    assert [layer.name for layer in converted.get_layer("inner").layers] == [
        layer.name for layer in inner.layers
    ]
    # One layer of the given model is one layer of the new one.
    assert len(converted.get_layer("twice")._inbound_nodes) == 3
    part = keras.Model(converted.input, converted.get_layer("head").output)
    same(part(x), model(x)["value"], atol=1e-5)


def test_several_inputs_and_an_initial_state(x, random):
    left, right = (keras.Input((STEPS, FEATURES), name=name) for name in ("left", "right"))
    start = keras.Input((6,), name="start")
    outputs = layers.Concatenate()([ltc()(left, initial_state=start), cfc()(right)])
    model = shaken(keras.Model([left, right, start], outputs), random)
    converted = converted_equally(model, [x, -x, np.ones((2, 6), "float32")])
    assert [tensor.name for tensor in converted.inputs] == ["left", "right", "start"]


@pytest.mark.parametrize("merge_mode", ["concat", "sum", None])
def test_bidirectional(merge_mode, x, random):
    layer = layers.Bidirectional(ltc(return_sequences=True), merge_mode=merge_mode, name="both")
    layer(x)
    converted = converted_equally(shaken(layer, random), x)
    assert converted.forward_layer.name == layer.forward_layer.name
    assert converted.backward_layer.name == layer.backward_layer.name


def test_bidirectional_with_another_backward_layer_and_states(x, random):
    options = {"return_state": True, "return_sequences": True}
    other = layers.GRU(3, go_backwards=True, **options)
    layer = layers.Bidirectional(cfc(**options), backward_layer=other)
    layer(x)
    converted_equally(shaken(layer, random), x)


def test_bidirectional_within_a_model(x, random):
    model = sequential(layers.Bidirectional(cfc(mixed_memory=True)), layers.Dense(1))
    converted_equally(shaken(model, random), x)


def test_stateful_bidirectional(x):
    layer = layers.Bidirectional(cfc(stateful=True))
    layer(x)
    converted_equally(layer, x)


@pytest.mark.parametrize("make", [cfc, lambda: keras.Sequential([cfc(), layers.Dense(2)])])
def test_time_distributed(make, x, random):
    model = sequential(layers.Reshape((2, 2, FEATURES)), layers.TimeDistributed(make()))
    converted_equally(shaken(model, random), x)


def test_stacked_cells(x, random):
    cells = [
        ncps_keras.CfCCell(4, backbone_units=3, backbone_dropout=0.0),
        layers.GRUCell(3),
        ncps_keras.LTCCell(ncps.wirings.FullyConnected(4, 2), ode_unfolds=2),
    ]
    layer = layers.RNN(cells)
    layer(x)
    assert type(converted_equally(shaken(layer, random), x)) is layers.RNN


def test_masks_reach_the_converted_layers(x, random):
    model = sequential(layers.Masking(), ltc(return_sequences=True), cfc())
    x[1, 2:] = 0
    converted_equally(shaken(model, random), x)


def test_layers_with_adapted_statistics(x):
    normalization = layers.Normalization()
    normalization.adapt(x * 3 + 1)
    converted_equally(sequential(normalization, ltc()), x)


def test_a_model_that_was_built_by_a_call(x):
    model = keras.Sequential([cfc(), layers.Dense(1)])
    model(x)
    assert converted_equally(model, x).built


def test_compilation_and_frozen_layers_are_kept():
    model = sequential(ltc(), layers.Dense(1))
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    converted = from_ncps(model)
    assert [w.name for w in converted.trainable_weights] == ["kernel", "bias"]
    assert converted.compiled and converted.loss == "mse"
    assert type(converted.optimizer) is keras.optimizers.Adam


def test_a_converted_model_is_saved(x, random, tmp_path):
    model = shaken(sequential(layers.Bidirectional(cfc()), layers.Dense(1)), random)
    converted = from_ncps(model)
    converted.save(tmp_path / "model.keras")
    same(keras.saving.load_model(tmp_path / "model.keras")(x), model(x), atol=1e-5)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.reader = cfc()

    def call(self, inputs):
        return self.reader(inputs)


class Wrapping(layers.Layer):
    def __init__(self):
        super().__init__(name="wrapping")
        self.reader = cfc()

    def build(self, input_shape):
        self.reader.build(input_shape)

    def call(self, inputs):
        return self.reader(inputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sequential(layers.LSTM(2)), "contain one; received .*Sequential"),
        (Subclassed, "Model 'own' .* is subclassed"),
        (lambda: sequential(Wrapping()), "'wrapping' .* contains layers of ncps in its own code"),
        (lambda: keras.Sequential([cfc(name="reader")]), "'reader' is not built"),
        (
            lambda: sequential(cfc(backbone_dropout=0.5)),
            "`backbone_dropout` 0.5, which CfCCell does not have",
        ),
    ],
)
def test_what_cannot_be_converted_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        from_ncps(make())
