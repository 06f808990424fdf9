"""Cells on wirings of one layer, with empty layers, without synapses: the same on all backends.

Expected values are computed in NumPy, so equal backends follow from equal tests.
"""

import keras
import numpy as np
import pytest
from matrix import numbers, same

from lnn_keras import LiquidRNN, LTCCell, WiredCfCCell
from lnn_keras.wirings import NCP, Adjacency, Connections, FullyConnected, Random, Wiring

INPUTS, STEPS = 4, 3
NO_SENSORY, NO_RECURRENT = np.zeros((INPUTS, 3), int), np.zeros((3, 3), int)


class Layered(Wiring):
    """Three fully connected neurons in given layers."""

    def __init__(self, *layers, outputs=1):
        super().__init__(3, outputs)
        self._layers = layers

    @property
    def layers(self):
        return self._layers

    def connect(self, inputs):
        return Connections(np.ones((inputs, 3), "int8"), np.ones((3, 3), "int8"))

    def get_config(self):
        return {}


ONE_LAYER = {
    "full": FullyConnected(8, 1),
    "random": Random(8, 2),
    "sparse": Random(4, 2, sparsity=0.99),
    "one neuron": FullyConnected(1),
    "one neuron without self-connection": FullyConnected(1, self_connections=False),
    "sensory only": Adjacency(NO_RECURRENT, np.ones((INPUTS, 3), int), outputs=2),
    "recurrent only": Adjacency(np.ones((3, 3), int), NO_SENSORY),
    "no synapse": Adjacency(NO_RECURRENT, NO_SENSORY),
    "no layer": Layered(),
    "empty last layer": Layered((0, 1, 2), ()),
}
SEVERAL_LAYERS = {
    "layers of one neuron": NCP(1, 1, 1, 1, 1, 0, 1),
    "empty first layer": Layered((), (2, 1), (0,)),
    "empty middle layer": Layered((2, 1), (), (0,)),
}
every_wiring = pytest.mark.parametrize("wiring", (ONE_LAYER | SEVERAL_LAYERS).values(), ids=str)


@pytest.fixture
def x(random):
    return random.standard_normal((2, STEPS, INPUTS)).astype("float32")


def filled(cell, random):
    """The cell with random weights that do not depend on the backend."""
    cell.build((None, INPUTS))
    for weight in cell.weights:
        weight.assign(random.uniform(0.1, 0.6, weight.shape))
    return cell


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def wired_cfc(cell, x):
    """The last output of WiredCfCCell in mode "default", in NumPy."""
    states = [np.zeros((len(x), layer.units)) for layer in cell.cells]
    for t in range(x.shape[1]):
        inputs = x[:, t]
        for i, layer in enumerate(cell.cells):
            kernel, recurrent = numbers(layer.kernel) * layer.mask, numbers(layer.recurrent_kernel)
            z = inputs @ kernel + states[i] @ recurrent + numbers(layer.bias)
            before, after, scale, shift = np.split(z, 4, axis=-1)
            gate = sigmoid(shift - scale)
            states[i] = np.tanh(before) * (1 - gate) + np.tanh(after) * gate
            inputs = states[i]
    return inputs[:, : cell.output_size]


def ltc(cell, x):
    """The last output of LTCCell with one unfold, in NumPy, synapse by synapse."""
    v = np.zeros((len(x), cell.units))
    leak, capacitance = numbers(cell.leak), np.exp(numbers(cell.log_capacitance))
    connections = cell.wiring.connect(INPUTS)
    for t in range(x.shape[1]):
        drive = np.tile(leak * numbers(cell.leak_reversal), (len(x), 1))
        decay = np.tile(leak, (len(x), 1))
        u = x[:, t] * numbers(cell.input_scale) + numbers(cell.input_bias)
        for synapses, matrix, values in (
            (cell.sensory, connections.sensory, u),
            (cell.recurrent, connections.recurrent, v),
        ):
            weights = (numbers(synapses.weight), numbers(synapses.sigma), numbers(synapses.mu))
            reversal = numbers(synapses.reversal)
            for k, (source, target) in enumerate(zip(*np.nonzero(matrix), strict=True)):
                w, sigma, mu = (weight[k] for weight in weights)
                conductance = w * sigmoid(sigma * (values[:, source] - mu))
                drive[:, target] += conductance * reversal[k]
                decay[:, target] += conductance
        v = (capacitance * v + drive) / (capacitance + decay)
    outputs = v[:, : cell.output_size]
    return outputs * numbers(cell.output_scale) + numbers(cell.output_bias)


@every_wiring
@pytest.mark.parametrize("make", ["wired", "ltc"])
def test_values_in_every_driver(make, wiring, x, random):
    cell = WiredCfCCell(wiring) if make == "wired" else LTCCell(wiring, unfolds=1)
    filled(cell, random)
    expected = (wired_cfc if make == "wired" else ltc)(cell, x)
    assert expected.shape == (2, wiring.outputs)
    for driver in (LiquidRNN, keras.layers.RNN):
        same(driver(cell)(x), expected)
    states = cell.get_initial_state(2)
    for t in range(STEPS):
        output, states = cell(x[:, t], states)
    same(output, expected)


@pytest.mark.parametrize("kind", [WiredCfCCell, LTCCell])
@pytest.mark.parametrize("name", ["full", "no synapse"])
def test_a_model_trains_and_is_saved(kind, name, x, tmp_path):
    options = {"unfolds": 1} if kind is LTCCell else {}
    layer = LiquidRNN(kind(ONE_LAYER[name], **options), unroll=True)
    x = x[:, :2]
    model = keras.Sequential([keras.Input((2, INPUTS)), layer])
    model.compile("sgd", "mse", run_eagerly=True)
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(x, np.ones((2, layer.cell.output_size))))
    after = model.get_weights()
    assert any((a != b).any() for a, b in zip(after, before, strict=True))
    assert all(np.isfinite(weight).all() for weight in after)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numbers(loaded(x)), numbers(model(x)))


def test_recurrent_dropout_on_one_layer(x):
    layer = LiquidRNN(WiredCfCCell(FullyConnected(8, 2), recurrent_dropout=0.5, seed=1))
    assert np.isfinite(numbers(layer(x, training=True))).all()
    assert (numbers(layer(x, training=True)) != numbers(layer(x))).any()


@pytest.mark.parametrize(
    ("wiring", "message"),
    [
        (Layered((1, 2)), r"each of its 3 neurons once; received \(\(1, 2\),\)"),
        (Layered((2, 1), (1, 0)), "each of its 3 neurons once"),
        (Layered((2, 1), (0,), outputs=2), "must hold its 2 motor neurons"),
    ],
)
def test_layers_that_are_no_partition_are_named(wiring, message):
    with pytest.raises(ValueError, match=message):
        WiredCfCCell(wiring).build((None, INPUTS))
