"""The private parts of Keras in lnn_keras/compat.py behave as lnn_keras assumes.

One test for each; its message says which feature breaks with it.
"""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from lnn_keras import LiquidCell, LiquidRNN, compat


class DropoutCell(compat.DropoutRNNCell, keras.layers.Layer):
    """A cell of one unit that adds up its inputs, with dropout as in Keras's own cells."""

    state_size = output_size = 1

    def __init__(self, rate):
        super().__init__()
        self.dropout = self.recurrent_dropout = rate
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, inputs, states, training=False):
        h = states[0] + ops.sum(inputs, axis=-1, keepdims=True)
        return h, [h]


def test_dropout_masks_are_cached_until_reset():
    cell, ones = DropoutCell(0.5), ops.ones((2, 8))
    first, second = cell.get_dropout_mask(ones), cell.get_dropout_mask(ones)
    state = cell.get_recurrent_dropout_mask(ops.ones((2, 1)))
    why = "dropout: steps of one sequence would see different masks"
    np.testing.assert_array_equal(
        ops.convert_to_numpy(first), ops.convert_to_numpy(second), err_msg=why
    )
    assert state.shape == (2, 1), "recurrent dropout: masks no longer have the shape of the state"
    cell.reset_dropout_mask()
    third = ops.convert_to_numpy(cell.get_dropout_mask(ones))
    assert np.any(third != ops.convert_to_numpy(first)), "dropout: a mask outlives its sequence"
    assert DropoutCell(0.0).get_dropout_mask(ones) is None, "dropout: a rate of 0 draws a mask"


def test_the_rnn_layer_draws_masks_before_its_inner_loop():
    drawn = []

    class Layer(keras.layers.RNN):
        def inner_loop(self, sequences, initial_state, mask, training=False):
            drawn.append((self.cell.__dict__.get("_dropout_mask"), training))
            return super().inner_loop(sequences, initial_state, mask, training)

    cell = DropoutCell(0.5)
    Layer(cell)(ops.ones((2, 3, 4)), training=True)
    assert len(drawn) == 1, "LiquidRNN: keras.layers.RNN.call no longer calls inner_loop"
    mask, training = drawn[0]
    assert training, "training no longer reaches the cells of LiquidRNN"
    assert mask is not None, "dropout in LiquidRNN: masks would be drawn within the scan"
    assert cell.__dict__["_dropout_mask"] is None, "dropout: masks would outlive their sequence"


def test_the_arguments_of_inner_loop():
    names = list(inspect.signature(keras.layers.RNN.inner_loop).parameters)
    assert names == ["self", "sequences", "initial_state", "mask", "training"], (
        "LiquidRNN and compat.time_loop: keras.layers.RNN.inner_loop has other arguments"
    )
    names = list(inspect.signature(keras.layers.RNN.call).parameters)
    assert names == list(inspect.signature(LiquidRNN.call).parameters)[: len(names)], (
        "LiquidRNN: the arguments of keras.layers.RNN.call have another order"
    )


@pytest.mark.parametrize("unroll", [False, True])
def test_the_time_loop(unroll):
    inputs = np.arange(6, dtype="float32").reshape(1, 3, 2)
    outputs, states = compat.time_loop(
        lambda row, states: (2 * row, [states[0] + row, states[1] + 1]),
        ops.convert_to_tensor(inputs),
        [ops.zeros((1, 2)), ops.zeros((1, 1))],
        unroll,
    )
    why = "LiquidRNN: keras.layers.RNN.inner_loop no longer scans a step function"
    np.testing.assert_array_equal(ops.convert_to_numpy(outputs), 2 * inputs, err_msg=why)
    np.testing.assert_array_equal(ops.convert_to_numpy(states[0]), inputs.sum(axis=1), err_msg=why)
    assert float(states[1][0, 0]) == 3, why


def test_seed_states_of_inner_cells():
    inner = DropoutCell(0.5)
    outer = keras.layers.Wrapper(inner)
    why = "remat: a cell with dropout would no longer be recomputed, and so use more memory"
    assert compat.dropout_seed_states(inner) == [inner.seed_generator.state], why
    assert compat.dropout_seed_states(outer) == [inner.seed_generator.state], why
    assert compat.dropout_seed_states(LiquidCell(2)) == [], why


def test_the_device_of_a_processor():
    why = 'parallel="auto": the scan would run on processors, or never'
    device = str(getattr(keras.ops.zeros((1,)), "device", "cpu"))
    assert compat.has_accelerator() is not ("cpu" in device.lower()), why


def test_parts_of_a_layer_are_found_at_any_depth():
    inner = keras.Sequential([keras.layers.Dense(1)], name="inner")
    layer = keras.layers.TimeDistributed(keras.Sequential([inner], name="outer"))
    why = "from_ncps: layers within layers would be overlooked"
    assert [type(part).__name__ for part in compat.parts_of(layer)] == [
        "TimeDistributed",
        "Sequential",
        "Sequential",
        "Dense",
    ], why


def test_the_children_of_a_layer_are_not_those_of_its_children():
    inner = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, name="dense")])
    outer = keras.Sequential([keras.layers.Input((4,)), inner])
    assert inner in compat.children_of(outer), "inspect.record looks for layers in layers"
    assert inner.layers[0] not in compat.children_of(outer)
    assert inner.layers[0] in compat.children_of(inner)


def test_loops_of_layers_within_layers_are_replaced_for_a_while():
    layer = keras.layers.GRU(3)
    model = keras.Sequential([keras.layers.Input((5, 2)), layer])
    x, seen = np.ones((1, 5, 2), "float32"), []

    def loop(layer, own_loop, sequences, initial_state, mask, **kwargs):
        seen.append((layer, sequences.shape, len(initial_state), mask))
        return own_loop(sequences, initial_state, mask, **kwargs)

    expected = model(x)
    with compat.loops_replaced([layer], loop):
        found = model(x)
    model(x)
    assert seen == [(layer, (1, 5, 2), 1, None)], "inspect.record sees the steps of layers"
    np.testing.assert_array_equal(found, expected)
    assert "inner_loop" not in vars(layer)


def test_the_calls_of_a_graph():
    block = keras.Sequential([keras.Input((None, 4)), keras.layers.Dense(3)])
    x = keras.Input((None, 2))
    hidden = keras.layers.Dense(4, name="hidden")(x)
    y = keras.layers.Add()([block(hidden), ops.square(keras.layers.Dense(3)(x))])
    why = "adapt: the readout of a model, and models over streams"
    layer, inputs = compat.call_before(y)
    assert isinstance(layer, keras.layers.Add) and len(inputs) == 2, why
    # The tensor that a nested model took, and not its own input.
    assert compat.call_before(inputs[0])[1][0] is hidden, why
    called = []

    def call(layer, *args, **kwargs):
        called.append(layer)
        return layer(*args, **kwargs)

    values = np.ones((1, 5, 2), "float32")
    model = keras.Model(x, y)
    outputs = compat.run_graph(model, ops.convert_to_tensor(values), call)
    np.testing.assert_allclose(
        ops.convert_to_numpy(outputs), ops.convert_to_numpy(model(values)), atol=1e-6, err_msg=why
    )
    assert block in called and model.get_layer("hidden") in called and len(called) == 5, why


def test_the_dtype_in_which_weights_are_read():
    class Reading(keras.layers.Layer):
        def build(self, shape):
            self.weight = self.add_weight(shape=(1,))

        def call(self, inputs):
            weight = ops.convert_to_tensor(self.weight)
            return compat.weights_dtype(), keras.backend.standardize_dtype(weight.dtype)

    why = "half precision: solver steps would compute with rounded weights, or in mixed types"
    layer = Reading(dtype="mixed_float16")
    assert layer(ops.ones((1, 1))) == ("float16", "float16"), why
    assert compat.weights_dtype() is None, why
    for dtype, expected in (("float16", "float16"), ("float32", "float32"), (None, "float32")):
        with compat.weights_as(dtype):
            weight = ops.convert_to_tensor(layer.weight)
            assert keras.backend.standardize_dtype(weight.dtype) == expected, why


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has no float64 by default")
def test_weights_outside_of_a_call_keep_their_dtype():
    why = "float64: weights outside of a layer's call would be rounded to float32"
    layer = keras.layers.Dense(1, dtype="float64")
    layer.build((1, 1))
    with compat.weights_as(None), keras.StatelessScope(state_mapping=[(layer.bias, [1 + 1e-9])]):
        assert float(ops.convert_to_numpy(ops.convert_to_tensor(layer.bias))[0]) > 1, why
