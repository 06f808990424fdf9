"""Kernels are found by what they do in the forward pass, not by their names."""

import re

import keras
import numpy as np
import pytest
from export_models import CELLS, RECURRENT, compiled, fit, sequential
from keras import ops

from export.compress import prune, sparsity
from export.compress.kernels import kernels_of
from lnn_keras import EachStep, LiquidRNN, LRCCell, LTCCell, WiredCfCCell
from lnn_keras.wirings import Adjacency, AutoNCP

layers = keras.layers
# The names of the kernels of Keras and of `lnn_keras`.
NAMES = re.compile(r"(^|_)(kernel|weight)(_\d+)?$")


def stack(*parts, shape=(5, 4), dtype="float32"):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *parts])


def found(model):
    return [kernel.variable.name for kernel in kernels_of(model)]


KERAS_LAYERS = {
    "convolutions of sequences": lambda: stack(
        layers.Conv1D(3, 2), layers.Conv1DTranspose(3, 2), layers.SeparableConv1D(3, 2)
    ),
    "convolutions of images": lambda: stack(
        layers.Conv2D(3, 2),
        layers.DepthwiseConv2D(2),
        layers.Conv2DTranspose(2, 2),
        layers.SeparableConv2D(2, 1),
        shape=(6, 6, 3),
    ),
    "bidirectional": lambda: stack(
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.Bidirectional(layers.GRU(2)),
    ),
    "each step": lambda: stack(layers.TimeDistributed(layers.Dense(2)), EachStep(layers.Dense(3))),
    "normalization": lambda: stack(
        layers.BatchNormalization(), layers.LayerNormalization(), layers.Dense(3)
    ),
    "einsum": lambda: stack(layers.EinsumDense("abc,cx->abx", (None, 3), bias_axes="x")),
    "pictures": lambda: stack(layers.ConvLSTM1D(2, 2), shape=(5, 6, 3)),
    "nested": lambda: stack(stack(layers.LSTM(3, return_sequences=True)), layers.GRU(2)),
    "one feature": lambda: stack(layers.Dense(3), layers.GRU(2), layers.Dense(1), shape=(5, 1)),
}
MODELS = (
    {name: lambda make=make: stack(LiquidRNN(make())) for name, make in CELLS.items()}
    | {f"layer {name}": lambda make=make: stack(make()) for name, make in RECURRENT.items()}
    | KERAS_LAYERS
)


@pytest.mark.parametrize("name", MODELS)
def test_kernels_of_known_layers(name, recwarn):
    """Those that the names of Keras and of `lnn_keras` tell; each other variable is no matrix."""
    model = MODELS[name]()
    assert found(model) == [v.name for v in model.trainable_variables if NAMES.search(v.name)]
    sparsity(model)
    assert not [warning for warning in recwarn if "compression" in str(warning.message)]


class OwnCell(layers.Layer):
    """A cell of `features` inputs and 3 units whose step is given as a function of its weights."""

    def __init__(self, shapes, step):
        super().__init__()
        self.state_size = 3
        self._shapes, self._step = shapes, step

    def build(self, input_shape):
        self.w = {
            name: self.add_weight(shape=shape, name=name, initializer="glorot_uniform")
            for name, shape in self._shapes.items()
        }
        self.listed = [self.add_weight(shape=(4, 3), name=f"listed{i}") for i in range(2)]

    def call(self, inputs, states):
        h = ops.tanh(self._step(self, self.w, inputs, states[0]))
        return h, [h]


MASK = np.tri(4, 3, dtype="float32")
# Shapes of weights, the step, and the names of its kernels besides those in the list.
OWN_CELLS = {
    "names without meaning": (
        {"A": (4, 3), "B": (3, 3), "tau": (1, 3), "kernel": (3,)},
        lambda c, w, x, h: (x @ w["A"] + h @ w["B"] + w["kernel"]) / (1 + ops.abs(w["tau"])),
        {"A", "B"},
    ),
    "a mask and a bias as a matrix": (
        {"A": (4, 3), "kernel": (1, 3)},
        lambda c, w, x, h: x @ (w["A"] * MASK) + w["kernel"],
        {"A"},
    ),
    "slices by gate": (
        {"A": (4, 6), "gates": (2, 3)},
        lambda c, w, x, h: ops.sigmoid(x @ w["A"][:, 3:] + w["gates"][0]) * (x @ w["A"][:, :3]),
        {"A"},
    ),
    "absolute values and scales": (
        {"A": (4, 3), "scale": (1, 3), "gain": ()},
        lambda c, w, x, h: x @ (ops.abs(w["A"]) * w["scale"] * w["gain"]),
        {"A"},
    ),
    "transposed and reshaped": (
        {"A": (3, 4), "B": (12,)},
        lambda c, w, x, h: x @ ops.transpose(w["A"]) + x @ ops.reshape(w["B"], (4, 3)),
        {"A", "B"},
    ),
    "concatenated, with the bias as a row": (
        {"A": (4, 3), "B": (3, 3), "bias": (3,)},
        lambda c, w, x, h: (
            ops.concatenate([x, h, ops.ones_like(h[:, :1])], axis=1)
            @ ops.concatenate([w["A"], w["B"], w["bias"][None]], axis=0)
        ),
        {"A", "B"},
    ),
    "einsum, dot and tensordot": (
        {"A": (4, 3), "B": (3, 3), "C": (4, 3)},
        lambda c, w, x, h: (
            ops.einsum("bi,ij->bj", x, w["A"])
            + ops.dot(h, w["B"])
            + ops.tensordot(x, w["C"], axes=1)
        ),
        {"A", "B", "C"},
    ),
    "low rank": (
        {"A": (4, 3), "U": (4, 1), "V": (1, 3)},
        lambda c, w, x, h: x @ (w["A"] + w["U"] @ w["V"]),
        {"A", "U", "V"},
    ),
    "normalized columns": (
        {"A": (4, 3)},
        lambda c, w, x, h: x @ (w["A"] / ops.sqrt(ops.sum(w["A"] ** 2, axis=0) + 1e-3)),
        {"A"},
    ),
    "a loop": (
        {"A": (4, 3), "B": (3, 3)},
        lambda c, w, x, h: ops.fori_loop(0, 3, lambda i, y: ops.tanh(y @ w["B"]), x @ w["A"]),
        {"A", "B"},
    ),
    "a condition": (
        {"A": (4, 3), "B": (4, 3)},
        lambda c, w, x, h: ops.cond(ops.sum(x) > 0, lambda: x @ w["A"], lambda: x @ w["B"]),
        {"A", "B"},
    ),
}


def own(name):
    shapes, step, kernels = OWN_CELLS[name]
    cell = OwnCell(
        shapes, lambda c, w, x, h: step(c, w, x, h) + sum(x @ listed for listed in c.listed)
    )
    return stack(layers.RNN(cell)), {*kernels, "listed0", "listed1"}


@pytest.mark.parametrize("name", OWN_CELLS)
def test_kernels_of_own_cells(name, recwarn):
    model, expected = own(name)
    assert set(found(model)) == expected
    sparsity(model)
    assert not [warning for warning in recwarn if "compression" in str(warning.message)]


def test_an_own_cell_is_pruned_and_its_bias_is_not():
    model, expected = own("names without meaning")
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(0).uniform(0.1, 1, variable.shape))
    data = np.ones((4, 5, 4), "float32")
    compiled(model, run_eagerly=True)
    model.fit(data, np.ones((4, 3)), epochs=4, callbacks=[prune(model, 0.5)], verbose=0)
    zeros = {v.name: float((v.numpy() == 0).mean()) for v in model.trainable_variables}
    assert all(zeros[name] == pytest.approx(0.5, abs=0.1) for name in expected)
    assert zeros["tau"] == zeros["kernel"] == 0
    assert sparsity(model) == pytest.approx(0.5, abs=0.02)


UNREACHED = {
    "a zero becomes one": lambda c, w, x, h: x @ ops.exp(w["A"]),
    "a product written as a sum": lambda c, w, x, h: ops.sum(x[..., None] * w["A"], axis=1),
    "chosen by the data": lambda c, w, x, h: x @ (w["A"] * ops.mean(x)),
}


@pytest.mark.parametrize("name", UNREACHED)
def test_matrices_that_cannot_be_classified_are_warned_of(name):
    cell = OwnCell({"A": (4, 3)}, lambda c, w, x, h: UNREACHED[name](c, w, x, h) + h @ c.B)
    cell.B = cell.add_weight(shape=(3, 3), name="B")
    model = stack(layers.RNN(cell))
    assert found(model) == ["B"]
    with pytest.warns(UserWarning, match=r"compression leaves as they are.*/A \(4, 3\)"):
        sparsity(model)


def test_frozen_layers_and_tables_are_warned_of():
    table = layers.Embedding(9, 4, name="table")
    frozen = layers.Dense(3, name="frozen")
    model = stack(table, frozen, layers.LSTM(3), shape=(5,), dtype="int32")
    assert found(model) == ["kernel", "kernel", "recurrent_kernel"]
    frozen.trainable = False
    assert found(model) == ["kernel", "recurrent_kernel"]
    with pytest.warns(UserWarning) as caught:
        sparsity(model)
    messages = [str(warning.message) for warning in caught]
    assert any("frozen/kernel (4, 3). They are not trainable" in text for text in messages)
    assert any("table/embeddings (9, 4)" in text for text in messages)


def test_a_wiring_within_bidirectional_and_nested_models(waves):
    """Elements without a synapse do not count, wherever the layer is."""
    cell = LiquidRNN(WiredCfCCell(AutoNCP(8, 2)), return_sequences=True)
    inner = stack(layers.Bidirectional(cell), layers.Dense(4), shape=(2, 4))
    model = compiled(stack(inner, shape=(2, 4)), run_eagerly=True)
    masked = [kernel for kernel in kernels_of(model) if not kernel.live.all()]
    assert len(masked) == 6
    fit(model, waves[:4, :3], prune(model, 0.5), epochs=2)
    for kernel in masked:
        weights = kernel.variable.numpy()
        assert not weights[kernel.live == 0].any()
        assert (weights[kernel.live > 0] == 0).mean() == pytest.approx(0.5, abs=0.1)


def test_conductances_are_kernels_and_slopes_are_not():
    assert found(stack(layers.RNN(LTCCell(3)))) == ["sensory_weight", "weight"]
    assert found(stack(layers.RNN(LRCCell(3)))) == [
        "sensory_weight",
        "sensory_update_weight",
        "sensory_elastance_kernel",
        "weight",
        "update_weight",
        "elastance_kernel",
    ]
    no_recurrent = Adjacency(np.zeros((3, 3), int), np.ones((4, 3), int))
    assert found(stack(layers.RNN(LTCCell(no_recurrent)))) == ["sensory_weight"]


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = layers.GRU(3, return_sequences=True), layers.Dense(2)

    def call(self, inputs):
        return self.second(self.first(inputs["signal"]) * inputs["gain"])


def test_a_subclassed_model():
    model = Subclassed()
    model({"signal": np.ones((2, 5, 4), "float32"), "gain": np.ones((2, 5, 1), "float32")})
    assert found(model) == ["kernel", "recurrent_kernel", "kernel"]


def test_the_search_follows_changes_of_the_model():
    model = sequential("simple")
    before = found(model)
    model.layers[-1].enable_lora(1)
    assert set(found(model)) >= {"lora_kernel_a", "lora_kernel_b"}
    assert "kernel" in before
