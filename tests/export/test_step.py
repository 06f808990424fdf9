"""The step form, run step by step, equals the model on a sequence."""

import keras
import numpy as np
import pytest
from export_models import RECURRENT, sequential

from export import as_sequences, to_step
from export.graph import tf_graph
from export.runtimes.keras_step import KerasStep, keras_rollout
from export.runtimes.rollout import rollout
from lnn_keras import LiquidCell, LiquidRNN, NODECell
from lnn_keras import elapsed as elapsed_time

layers = keras.layers
NAMES = ("liquid", "node-rk4", "lstm", "gru", "gru-reset-before", "simple", "stacked")
LAYERS = {**{name: RECURRENT[name] for name in NAMES}, "last": lambda: layers.LSTM(5)}


@pytest.fixture
def x(random):
    return random.standard_normal((1, 9, 4)).astype("float32")


def rolled_out(model, inputs):
    """Outputs of all steps, from one call per step and from one loop over all steps."""
    step = to_step(model)
    sequences = {name: values[np.newaxis] for name, values in inputs.items()}
    rolled = rollout(KerasStep(step), sequences, step.initial_states)
    outputs = {name: values[0] for name, values in rolled.outputs.items()}
    for name, values in keras_rollout(step, sequences).outputs.items():
        np.testing.assert_allclose(values[0], outputs[name], atol=1e-6)
    return outputs


@pytest.mark.parametrize("name", LAYERS)
def test_step_by_step_equals_the_sequence(name, x):
    model = sequential(LAYERS[name](), features=4)
    stepped = rolled_out(model, {"x": x[0]})["output"]
    expected = model(x)[0]
    np.testing.assert_allclose(stepped[-1] if name == "last" else stepped, expected, atol=1e-6)


def test_layers_around_the_recurrent_ones(x, random):
    """Each layer type that acts step by step, in one functional model with two outputs."""
    inputs = keras.Input((None, 4), name="x")
    normalize = layers.Normalization()
    normalize.adapt(random.standard_normal((50, 6, 4)) * 3 + 1)
    z = layers.GaussianNoise(0.1)(normalize(inputs))
    z = layers.TimeDistributed(layers.Dense(5, activation="relu"))(z)
    h = layers.LayerNormalization()(layers.GRU(5, return_sequences=True)(z))
    h = layers.BatchNormalization()(layers.Dropout(0.5)(h))
    h = LiquidRNN(NODECell(5), return_sequences=True)(layers.LeakyReLU()(h))
    h = layers.SpatialDropout1D(0.2)(h)
    h = layers.Add()([h, z]) + layers.Multiply()([h, z])
    h = layers.Concatenate()([layers.Rescaling(0.5)(h), layers.Activation("tanh")(z)])
    first, second = layers.Dense(2)(h), layers.Softmax()(layers.Dense(3)(h))
    model = keras.Model(inputs, [first, second])
    model(x, training=True)  # moves the batch statistics
    rolled = rolled_out(model, {"x": x[0]})
    for name, expected in zip(("output_0", "output_1"), model(x), strict=True):
        np.testing.assert_allclose(rolled[name], expected[0], atol=1e-6)


CONVOLUTIONS = {
    "taps": ([{"kernel_size": 3, "activation": "relu"}], 1),
    "one tap": ([{"kernel_size": 1, "use_bias": False}], 1),
    "dilated": ([{"kernel_size": 3, "dilation_rate": 2}], 1),
    "groups": ([{"kernel_size": 2, "groups": 2}], 1),
    "strided": ([{"kernel_size": 3, "strides": 3}], 3),
    "two strides": ([{"kernel_size": 5, "strides": 2}, {"kernel_size": 2, "strides": 3}], 6),
    "dilated, then strided": (
        [{"kernel_size": 3, "dilation_rate": 2, "groups": 2}, {"kernel_size": 4, "strides": 2}],
        2,
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_causal_convolutions_keep_their_past(name, random):
    """A step takes as many rows as the product of the strides, also through an RNN before them."""
    convolutions, rows = CONVOLUTIONS[name]
    inputs = keras.Input((None, 4), name="x")
    hidden = layers.SimpleRNN(4, return_sequences=True)(inputs)
    for arguments in convolutions:
        hidden = layers.Conv1D(6, padding="causal", **arguments)(hidden)
    outputs = layers.Dense(2)(layers.SimpleRNN(3, return_sequences=True)(hidden))
    model = keras.Model(inputs, outputs)
    x = random.standard_normal((1, 18, 4)).astype("float32")
    step = to_step(model)
    assert step.rows == rows
    sequences = as_sequences(step, x)
    rolled = rolled_out(model, {"x": sequences["x"][0]})
    expected = model(x)[0]
    assert len(expected) == 18 // rows
    np.testing.assert_allclose(rolled["output"], expected, atol=1e-6)


def test_the_last_step_of_a_sequence_is_the_step_itself(x):
    inputs = keras.Input((None, 4), name="x")
    hidden = layers.LSTM(5, return_sequences=True)(inputs)
    model = keras.Model(inputs, layers.Dense(2)(hidden[:, -1]))
    rolled = rolled_out(model, {"x": x[0]})
    np.testing.assert_allclose(rolled["output"][-1], model(x)[0], atol=1e-6)


def test_a_dense_layer_called_twice_is_one_layer(x):
    inputs, shared = keras.Input((None, 4), name="x"), layers.Dense(4)
    model = keras.Model(inputs, layers.GRU(3)(shared(shared(inputs))))
    rolled = rolled_out(model, {"x": x[0]})
    np.testing.assert_allclose(rolled["output"][-1], model(x)[0], atol=1e-6)
    assert to_step(model, fold_scaling=True).inputs == ("x",)


def test_a_recurrent_layer_called_twice_has_states_for_each_call(x):
    inputs, shared = keras.Input((None, 4), name="x"), layers.GRU(4, return_sequences=True)
    model = keras.Model(inputs, shared(shared(inputs)))
    assert to_step(model).initial_states.keys() == {"gru_state_0", "gru_state_0_"}
    np.testing.assert_allclose(rolled_out(model, {"x": x[0]})["output"], model(x)[0], atol=1e-6)


def test_folded_scaling_is_done_outside(x):
    """Normalization at both ends leaves the graph, and the step's scalings replace it."""
    first = layers.Normalization(mean=[1.0, -2.0, 300.0, 0.0], variance=[4.0, 0.01, 1e4, 1.0])
    last = layers.Rescaling(scale=[2.0, 0.5], offset=3.0)
    inputs = keras.Input((None, 4), name="x")
    hidden = layers.GRU(5, return_sequences=True)(first(inputs))
    model = keras.Model(inputs, last(layers.Dense(2)(hidden)))
    x = (x * [2, 0.1, 100, 1] + [1, -2, 300, 0]).astype("float32")
    step = to_step(model, fold_scaling=True)
    values = {"x": step.scalings["x"].to_values(x)}
    np.testing.assert_allclose(step.scalings["x"].to_real(values["x"]), x, rtol=1e-5)
    outputs = keras_rollout(step, values).outputs["output"]
    np.testing.assert_allclose(step.scalings["output"].to_real(outputs), model(x), atol=1e-5)
    graph = tf_graph.flatten(tf_graph.trace(step.model, 1))
    layers_in_graph = {operation.name.split("/")[0] for operation in graph.operations}
    assert not {name for name in layers_in_graph if name.startswith(("normal", "rescal"))}


def test_scaling_that_other_layers_read_stays(x):
    inputs = keras.Input((None, 4), name="x")
    scaled = layers.Rescaling(0.5)(inputs)
    output = layers.Rescaling(2.0)(layers.GRU(4, return_sequences=True)(scaled))
    model = keras.Model(inputs, [layers.Add()([inputs, output]), output])
    step = to_step(model, fold_scaling=True)
    for scaling in step.scalings.values():
        assert (scaling.scale == 1).all() and (scaling.offset == 0).all()
    rolled = rolled_out(model, {"x": x[0]})
    for name, expected in zip(("output_0", "output_1"), model(x), strict=True):
        np.testing.assert_allclose(rolled[name], expected[0], atol=1e-6)


@pytest.mark.parametrize("features", [(), (1,)])
def test_elapsed_time_is_an_input_of_the_step(features, x, random):
    elapsed = random.random((1, 9, *features)).astype("float32")
    inputs, times = keras.Input((None, 4), name="x"), keras.Input((None, *features), name="elapsed")
    hidden = LiquidRNN(LiquidCell(5), return_sequences=True)(inputs, elapsed=times)
    model = keras.Model([inputs, times], layers.Dense(2)(hidden))
    rolled = rolled_out(model, {"x": x[0], "elapsed": elapsed[0].reshape(9, 1)})
    np.testing.assert_allclose(rolled["output"], model([x, elapsed])[0], atol=1e-6)


def test_elapsed_time_as_the_last_feature(x, random):
    packed = np.asarray(elapsed_time.append(x, random.random((1, 9)).astype("float32")))
    cell = LiquidCell(5, elapsed="last_feature")
    model = keras.Sequential([keras.Input((None, 5), name="x"), layers.RNN(cell)])
    rolled = rolled_out(model, {"x": packed[0]})
    np.testing.assert_allclose(rolled["output"][-1], model(packed)[0], atol=1e-6)


def test_small_results_of_large_terms_act_on_each_row():
    """A single output can be near 0 by cancellation, which is no dependence on other rows."""
    x, random = keras.Input((None, 61)), np.random.default_rng(0)
    heads = [keras.layers.Dense(1) for _ in range(150)]
    outputs = [head(x) for head in heads]
    for head in heads:
        head.set_weights([random.normal(size=(61, 1)), np.zeros(1)])
    assert not to_step(keras.Model(x, keras.layers.Concatenate()(outputs))).states
