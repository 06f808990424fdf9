"""knock_out: the outputs of models without single neurons."""

import keras
import numpy as np
import pytest
from keras import ops

import lnn_keras
from lnn_keras.inspect import knock_out, record

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 5, 3)).astype("float32")


def model_of(*layers):
    return keras.Sequential([keras.layers.Input((None, 3)), *layers])


def test_a_held_neuron_is_held_at_every_step_for_neurons_and_outputs():
    cell = lnn_keras.LiquidCell(4)
    layer = lnn_keras.LiquidRNN(cell, return_sequences=True)
    found = knock_out(layer, X, value=[0.1, 0.2, 0.3, 0.4])
    assert found.shape == (4, 2, 5, 4)
    for neuron, outputs in enumerate(found):
        state = ops.zeros((2, 4))
        for step in range(5):
            _, (state,) = cell(X[:, step], [state])
            state = np.array(ops.convert_to_numpy(state))
            state[:, neuron] = (neuron + 1) / 10
            np.testing.assert_allclose(outputs[:, step], state, rtol=1e-5, atol=1e-6)


CELLS = {
    "ltc": (lambda: lnn_keras.LTCCell(lnn_keras.wirings.AutoNCP(6, outputs=2)), 6),
    "wired_cfc": (lambda: lnn_keras.WiredCfCCell(lnn_keras.wirings.AutoNCP(6, outputs=2)), 6),
    "lef": (lambda: lnn_keras.LEFCell(2, variances=True), 2),
    "ct_gru": (lambda: lnn_keras.CTGRUCell(3, scales=2), 3),
    "mixed_memory": (lambda: lnn_keras.MixedMemoryCell(lnn_keras.CfCCell(3)), 3),
    "diagonal": (lambda: lnn_keras.DiagonalLiquidCell(3), 3),
    "gru": (lambda: keras.layers.GRUCell(3), 3),
    "lstm": (lambda: keras.layers.LSTMCell(3), 3),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_of_every_kind_have_neurons_to_hold(name):
    make, units = CELLS[name]
    model = model_of(keras.layers.RNN(make()), keras.layers.Dense(2))
    found = knock_out(model, X)
    assert found.shape == (units, 2, 2) and np.isfinite(found).all()
    assert not np.allclose(found, model.predict(X, verbose=0)[None])


@pytest.mark.parametrize("name", ["ct_gru", "gru"])
def test_the_output_of_a_held_neuron_is_the_value(name):
    layer = keras.layers.RNN(CELLS[name][0](), return_sequences=True)
    found = knock_out(layer, X, neurons=[1], value=0.25)
    np.testing.assert_allclose(found[0][..., 1], 0.25, rtol=1e-6)
    np.testing.assert_allclose(
        found[0][:, 0, 0], ops.convert_to_numpy(layer(X))[:, 0, 0], rtol=1e-5
    )


def test_a_neuron_that_nothing_reads_has_no_effect():
    layer, dense = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(4), name="rnn"), keras.layers.Dense(1)
    model = model_of(layer, dense)
    kernel = ops.convert_to_numpy(dense.kernel).copy()
    recurrent = ops.convert_to_numpy(layer.cell.recurrent_kernel).copy()
    kernel[2], recurrent[2] = 0.0, 0.0
    dense.kernel.assign(kernel)
    layer.cell.recurrent_kernel.assign(recurrent)
    effect = np.abs(knock_out(model, X) - model.predict(X, verbose=0)).max(axis=(1, 2))
    assert effect[2] < 1e-6 < effect[[0, 1, 3]].min()


def test_masks_elapsed_times_and_layers_by_name():
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(4), name="rnn")
    mask = np.arange(5) < np.array([[5], [3]])
    found = knock_out(layer, X, elapsed=0.5, mask=mask)
    short = knock_out(layer, X[:, :3], elapsed=0.5)
    np.testing.assert_allclose(found[:, 1], short[:, 1], rtol=1e-5)
    first = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(4), return_sequences=True, name="first")
    inner = lnn_keras.LiquidRNN(lnn_keras.CfCCell(3), return_sequences=True, name="inner")
    both = model_of(first, lnn_keras.Bidirectional(inner))
    names = list(record(both, X))
    assert len(names) == 3
    for name in names:
        assert knock_out(both, X, layer=name, neurons=[0]).shape == (1, 2, 5, 6)
    with pytest.raises(ValueError, match=r"one of \['first'.*received None"):
        knock_out(both, X)


def test_neurons_and_values_that_do_not_exist_are_refused():
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(4), name="rnn")
    with pytest.raises(ValueError, match=r"numbers from 0 to 3.*received \[4\]"):
        knock_out(layer, X, neurons=[1, 4])
    with pytest.raises(ValueError, match="finite number or 4 of them; received nan"):
        knock_out(layer, X, value=float("nan"))
    with pytest.raises(ValueError, match="finite number or 4 of them"):
        knock_out(layer, X, value=[1.0, 2.0])
    stacked = keras.layers.RNN([keras.layers.GRUCell(3), keras.layers.GRUCell(2)], name="stacked")
    with pytest.raises(ValueError, match="do not belong to single neurons"):
        knock_out(stacked, X)
