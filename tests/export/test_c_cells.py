"""Cells, layers and activations in C: the compiler's result, NumPy's and that of Keras."""

import keras
import numpy as np
import pytest
from export_models import CELLS, reset_names_and_seeds

from export import recipes
from export.c.compile import c_model
from export.calibration import closed_loop_samples
from export.data import as_sequences
from export.forms.step import to_step
from export.runtimes.c_code import CCode, simulated
from export.runtimes.keras_step import keras_rollout
from export.runtimes.rollout import rollout
from lnn_keras import CfCCell, LiquidCell, LiquidRNN, LTCCell, wirings

layers = keras.layers
STEPS = 50
# Largest RMS error of the outputs, relative to their deviation. Untrained cells of five neurons on
# noise; the exact solver of the diagonal cell divides by small numbers.
TOLERANCES = {"int16x8": 0.03, "int16": 0.02, "float32": 2e-5}
ILL_CONDITIONED = ("diagonal", "ode-rnn", "lef-gamma", "lef-gaussian")


def noise(features=3, steps=STEPS):
    return np.random.default_rng(0).standard_normal((1, steps, features)).astype("float32")


def sequential(*stack, features=3):
    inputs = keras.Input((None, features))
    outputs = inputs
    for layer in stack:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def errors(model, recipe, data):
    """The error against Keras, after checking that C and NumPy agree in every bit."""
    recipe = recipes.get(recipe)
    step = to_step(model, fold_scaling=recipe.is_integer)
    sequences = as_sequences(step, data)
    samples = closed_loop_samples(step, sequences) if recipe.is_integer else []
    source = c_model(step, recipe, samples)
    compiled = rollout(CCode(source), sequences, step.initial_states)
    short = {name: values[:, :12] for name, values in sequences.items()}
    in_numpy = rollout(simulated(source), short, step.initial_states)
    for name, values in in_numpy.outputs.items():
        np.testing.assert_array_equal(values, compiled.outputs[name][:, :12])
    for name, values in in_numpy.states.items():
        np.testing.assert_array_equal(values, compiled.states[name][:, :12])
    expected = keras_rollout(step, sequences).outputs
    return {
        name: float(np.sqrt(np.mean((compiled.outputs[name] - values) ** 2)) / values.std())
        for name, values in expected.items()
    }


# Variants of cells that others stand for.
SLOW = ("liquid-six-unfolds", "liquid-adjoint", "diagonal-steps", "cfc-pure", "lef-gamma")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in CELLS
        if name != "node-dopri5"
    ],
)
def test_cells(name):
    reset_names_and_seeds()
    model = sequential(layers.RNN(CELLS[name](), return_sequences=True), layers.Dense(2))
    recipe = "float32" if name in ILL_CONDITIONED else "int16"
    (error,) = errors(model, recipe, noise()).values()
    assert error < TOLERANCES[recipe]


@pytest.mark.parametrize(
    ("name", "recipe"),
    [("liquid", "int16x8"), ("ltc", "int16x8"), ("cfc", "int16x8"), ("cfc", "float32")],
)
def test_recipes(name, recipe):
    reset_names_and_seeds()
    model = sequential(layers.RNN(CELLS[name](), return_sequences=True), layers.Dense(2))
    (error,) = errors(model, recipe, noise()).values()
    assert error < TOLERANCES[recipe]


LAYERS = {
    "lstm, layer normalization": lambda: sequential(
        layers.LSTM(5, return_sequences=True), layers.LayerNormalization(), layers.Dense(2)
    ),
    "gru, convolution": lambda: sequential(
        layers.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="elu"),
        layers.GRU(5, return_sequences=True, reset_after=False),
        layers.Dense(3, activation="softmax"),
    ),
    "simple rnn, activations": lambda: sequential(
        layers.SimpleRNN(5, return_sequences=True),
        layers.Dense(4, activation="gelu"),
        layers.LeakyReLU(),
        layers.BatchNormalization(),
        layers.Dense(4, activation="softplus"),
        layers.Dense(2, activation="selu"),
    ),
    "stacked": lambda: sequential(
        LiquidRNN(LiquidCell(4, unfolds=3), return_sequences=True),
        LiquidRNN(LTCCell(wirings.AutoNCP(8, 2), unfolds=2), return_sequences=True),
    ),
    "normalized": lambda: sequential(
        layers.Normalization(mean=[1.0, -2.0, 30.0], variance=[4.0, 0.01, 900.0]),
        layers.GRU(5, return_sequences=True),
        layers.Dense(2),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    reset_names_and_seeds()
    scale, offset = ([2.0, 0.1, 30.0], [1.0, -2.0, 30.0]) if name == "normalized" else (1, 0)
    data = (noise() * scale + offset).astype("float32")
    (error,) = errors(LAYERS[name](), "int16", data).values()
    assert error < TOLERANCES["int16"]


def test_several_inputs_and_outputs():
    """Elapsed times, a merge, and two outputs; names that sort differently from their order."""
    reset_names_and_seeds()
    signal = keras.Input((None, 3), name="signal")
    elapsed = keras.Input((None,), name="elapsed")
    hidden = LiquidRNN(CfCCell(4), return_sequences=True)(signal, elapsed=elapsed)
    gated = layers.Multiply()([hidden, layers.Dense(4, activation="sigmoid")(hidden)])
    model = keras.Model(
        [signal, elapsed],
        {
            "z": layers.Dense(2, name="z")(gated),
            "a": layers.Dense(3, name="a")(layers.Concatenate()([gated, hidden])),
        },
    )
    data = {"signal": noise(), "elapsed": np.abs(noise(1))[..., 0] + 0.1}
    assert max(errors(model, "int16", data).values()) < TOLERANCES["int16"]


class Relaxing(layers.Layer):
    """A cell with unfolds whose output also depends on the state before them."""

    state_size = output_size = 3

    def __init__(self, returned, **kwargs):
        super().__init__(**kwargs)
        self.returned = returned

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(3, 3), name="recurrent_kernel")

    def relaxed(self, state, target, unfolds):
        for _ in range(unfolds):
            state = state + 0.2 * (keras.ops.tanh(target + state @ self.recurrent_kernel) - state)
        return state

    def call(self, inputs, states, training=False):
        (before,) = states
        after = self.relaxed(before, inputs @ self.kernel, 4)
        return self.returned(self, before, after), [after]


@pytest.mark.parametrize(
    "returned",
    [
        pytest.param(lambda cell, before, after: before, id="the old state"),
        pytest.param(
            lambda cell, before, after: after + cell.relaxed(before, 0.3, 3),
            id="two solutions from one state",
        ),
    ],
)
def test_a_state_that_is_needed_after_its_unfolds_is_kept(returned):
    reset_names_and_seeds()
    model = sequential(layers.RNN(Relaxing(returned), return_sequences=True))
    for recipe in ("int16", "float32"):
        (error,) = errors(model, recipe, noise()).values()
        assert error < TOLERANCES[recipe]


def test_pictures():
    reset_names_and_seeds()
    inputs = keras.Input((None, 9, 8, 2))
    network = keras.Sequential(
        [
            layers.Conv2D(3, 3, strides=2, padding="same", activation="relu"),
            layers.DepthwiseConv2D(2),
            layers.MaxPooling2D(2, padding="same"),
            layers.AveragePooling2D(2, strides=1, padding="same"),
            layers.Flatten(),
        ]
    )
    outputs = layers.SimpleRNN(4, return_sequences=True)(layers.TimeDistributed(network)(inputs))
    data = np.random.default_rng(0).standard_normal((1, 30, 9, 8, 2)).astype("float32")
    (error,) = errors(keras.Model(inputs, outputs), "int16", data).values()
    assert error < TOLERANCES["int16"]


@pytest.mark.parametrize("name", ["liquid-six-unfolds", "ltc", "ctrnn", "node-rk4"])
def test_unfolds_are_one_loop(name):
    reset_names_and_seeds()
    model = sequential(layers.RNN(CELLS[name](), return_sequences=True))
    text = c_model(to_step(model), recipes.get("float32"), prefix="m").files["m.c"]
    unfolds = 6 if name == "liquid-six-unfolds" else 2
    assert text.count(f"for (int u = 0; u < {unfolds}; ++u)") == 1
    function = "tanh" if name in ("ctrnn", "node-rk4") else "sigmoid"
    stages = {"node-rk4": 4, "ltc": 2}.get(name, 1)  # the synapses of the inputs are another one
    assert text.count(f"lnn_{function}_f32(sigmoid_table") <= stages


def test_pruned_matrices_are_lists_of_weights():
    reset_names_and_seeds()
    model = sequential(layers.GRU(8, return_sequences=True), layers.Dense(2))
    kernel = model.layers[1].cell.recurrent_kernel
    mask = np.random.default_rng(0).random(kernel.shape) < 0.1
    kernel.assign(np.where(mask, kernel.numpy(), 0))
    text = c_model(to_step(model), recipes.get("float32"), prefix="pruned").files["pruned.c"]
    assert "offsets" in text
    (error,) = errors(model, "float32", noise()).values()
    assert error < TOLERANCES["float32"]
