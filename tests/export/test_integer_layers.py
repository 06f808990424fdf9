"""Activations, normalizations, operators and states in integer files, on every runtime.

One file has many outputs, so that one conversion tests many functions.
"""

import keras
import numpy as np
import pytest
from export_models import calibrated, reset_names_and_seeds, step_file
from keras import ops

from export import recipes
from export.runtimes.keras_step import keras_rollout
from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import rollout
from export.tflite_file import flatbuffer

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers

ACTIVATIONS = "silu gelu softplus softsign hard_silu elu selu relu6 leaky_relu softmax".split()
MORE_ACTIVATIONS = [
    *"mish hard_sigmoid celu exponential hard_tanh".split(),
    lambda x: keras.activations.gelu(x, approximate=True),
]
NORMALIZATIONS = [
    layers.LayerNormalization,
    lambda: layers.LayerNormalization(center=False, gamma_initializer="random_normal"),
    lambda: layers.LayerNormalization(scale=False, beta_initializer="random_normal"),
    lambda: layers.LayerNormalization(epsilon=1e-6),
    layers.UnitNormalization,
    layers.BatchNormalization,
    layers.LeakyReLU,
    lambda: layers.ReLU(max_value=6),
]
OPERATORS = {
    "multiply": lambda x: x * 2.0,
    "divide": lambda x: x / 2,
    "quotient": lambda x: x / (1.5 + ops.abs(x[..., :1])),
    "square": lambda x: x**2,
    "power": lambda x: (ops.abs(x) + 0.1) ** 1.5,
    "tanh": ops.tanh,
    "exp": ops.exp,
    "erf": ops.erf,
    "sin": ops.sin,
    "log1p": lambda x: 2 * x + ops.log1p(ops.abs(x)),
    "sqrt": lambda x: 2 * x - ops.sqrt(ops.relu(x) + 1),
    "rsqrt": lambda x: 2 * x + ops.rsqrt(ops.abs(x) + 0.5),
    "maximum": lambda x: ops.maximum(x, 0.1) + ops.minimum(x, -0.1),
}
# Next states, from the inputs' product with a kernel and the state.
STATES = {
    "tanh": lambda x, h: ops.tanh(x + 0.3 * h),
    "passes maximum": lambda x, h: ops.maximum(0.9 * h, x),
    "passes minimum": lambda x, h: ops.minimum(0.5 * h + ops.tanh(x), 0.5),
    "buffer of inputs": lambda x, h: ops.concatenate([h[:, 2:], x[:, :2]], axis=-1),
    "buffer of activations": lambda x, h: ops.concatenate([h[:, 1:], ops.tanh(x[:, :1])], axis=-1),
    "absolute value": lambda x, h: ops.abs(x - 0.5 * h),
    "softsign": lambda x, h: keras.activations.softsign(x + h),
}
# 8 bits resolve about a hundredth of a tensor's range; weights of 8 bits remain on 16.
LARGEST = {"int8": 0.06, "int16x8": 0.015}


class Cell(layers.Layer):
    """A cell whose next state is a function of the projected inputs and the state."""

    def __init__(self, following, initial=0.0, **options):
        super().__init__(**options)
        self.following, self.initial = following, initial
        self.state_size = self.output_size = 4

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 4), initializer="orthogonal")

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, 4)) + self.initial]

    def call(self, inputs, states, training=None):
        state = self.following(ops.matmul(inputs, self.kernel), states[0])
        return state, [state]


def file_and_errors(model, data, recipe, target="micro"):
    """A file, and by runtime and output its error relative to the output's deviation."""
    step, samples = calibrated(model, data)
    content = step_file(step, samples, recipe, target)
    rows = {"x": data[:1]}
    expected = keras_rollout(step, rows).outputs
    errors = {}
    for runtime in (LiteRT(content), LiteRT(content, xnnpack=False), Micro(content)):
        outputs = rollout(runtime, rows, step.initial_states).outputs
        for name, values in expected.items():
            error = np.sqrt(np.mean((outputs[name] - values) ** 2))
            errors[runtime.name, name] = error / np.sqrt(np.mean(np.var(values[0], axis=0)))
    return content, errors


def heads(build):
    """A model with one output per function of a recurrent layer's outputs."""
    reset_names_and_seeds()
    x = keras.Input((None, 3), name="x")
    hidden = layers.GRU(6, return_sequences=True, reset_after=False)(x)
    return keras.Model(x, {f"y{i}": head(hidden) for i, head in enumerate(build)})


def with_activation(activation):
    return layers.Dense(4, activation=activation, kernel_initializer="orthogonal")


def after_dense(layer):
    return lambda hidden: layer(layers.Dense(5, kernel_initializer="orthogonal")(hidden))


@pytest.mark.parametrize("recipe", ["int8", pytest.param("int16x8", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "functions",
    [
        lambda: [with_activation(activation) for activation in ACTIVATIONS],
        pytest.param(
            lambda: [with_activation(activation) for activation in MORE_ACTIVATIONS],
            marks=pytest.mark.slow,
        ),
        lambda: [with_activation(operator) for operator in OPERATORS.values()],
        lambda: [after_dense(build()) for build in NORMALIZATIONS],
    ],
    ids=["activations", "more activations", "operators", "normalizations"],
)
def test_functions_within_a_step(functions, recipe, signal):
    content, errors = file_and_errors(heads(functions()), signal[:1, :30], recipe)
    assert {dtype for _, dtype in flatbuffer.read_operations(content)} == {
        recipes.get(recipe).activations
    }
    too_large = {key: error for key, error in errors.items() if not error < LARGEST[recipe]}
    assert not too_large


@pytest.mark.parametrize("recipe", ["int8", "int16x8"])
def test_states_of_every_kind_have_one_scale(recipe, signal):
    """Also where an operation fixes the scale of the output, or an initial value lies outside."""
    reset_names_and_seeds()
    x = keras.Input((None, 3), name="x")
    cells = [Cell(following) for following in STATES.values()]
    cells.append(Cell(STATES["tanh"], initial=2.0))
    outputs = {
        f"y{i}": layers.RNN(cell, return_sequences=True)(x) * 1.5 for i, cell in enumerate(cells)
    }
    content, errors = file_and_errors(keras.Model(x, outputs), signal[:1, :30], recipe)
    for state, following in flatbuffer.read_signature(content).states:
        assert state.scale == pytest.approx(following.scale, rel=1e-3)
        assert abs(state.zero_point - following.zero_point) <= 1
    too_large = {key: error for key, error in errors.items() if not error < LARGEST[recipe]}
    assert not too_large
