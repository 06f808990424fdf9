"""Wirings: pure functions of their arguments, with the structure that they promise."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnn_keras import LiquidRNN, LTCCell
from lnn_keras.wirings import NCP, Adjacency, AutoNCP, FullyConnected, Random, Wiring

WIRINGS = {
    "full": FullyConnected(7, outputs=2),
    "no-self": FullyConnected(7, self_connections=False),
    "random": Random(9, outputs=3, sparsity=0.6),
    "ncp": NCP(
        inter=6,
        command=5,
        motor=2,
        sensory_fanout=3,
        inter_fanout=2,
        recurrent_synapses=4,
        motor_fanin=3,
    ),
    "auto": AutoNCP(16, outputs=3, sparsity=0.7),
    "matrix": Adjacency(recurrent=[[0, 1], [-1, 0]], sensory=[[1, 0], [0, -1], [0, 0], [1, 1]]),
}
every_wiring = pytest.mark.parametrize("wiring", WIRINGS.values(), ids=WIRINGS)


@every_wiring
def test_connecting_twice_changes_nothing(wiring):
    first, again = wiring.connect(4), wiring.connect(4)
    np.testing.assert_array_equal(first.sensory, again.sensory)
    np.testing.assert_array_equal(first.recurrent, again.recurrent)
    assert first.sensory.shape == (4, wiring.units)
    assert first.recurrent.shape == (wiring.units, wiring.units)
    assert set(np.unique(first.recurrent)) <= {-1, 0, 1}


@every_wiring
def test_config_round_trip(wiring):
    config = wiring.get_config()
    wiring.connect(4)
    assert wiring.get_config() == config
    saved = keras.saving.serialize_keras_object(wiring)
    loaded = keras.saving.deserialize_keras_object(saved)
    assert type(loaded) is type(wiring) and loaded.get_config() == config
    np.testing.assert_array_equal(loaded.connect(4).recurrent, wiring.connect(4).recurrent)


@every_wiring
def test_one_wiring_serves_two_layers(wiring, random):
    x = random.standard_normal((2, 3, 4))
    layers = [LiquidRNN(LTCCell(wiring, unfolds=1)) for _ in range(2)]
    sizes = [layer(x).shape for layer in layers]
    assert sizes[0] == sizes[1] == (2, wiring.outputs)
    np.testing.assert_array_equal(
        layers[0].cell.recurrent.sources, layers[1].cell.recurrent.sources
    )


def test_seeds_differ_and_numbers_of_synapses_do_not():
    one, two = Random(9, sparsity=0.6, seed=1), Random(9, sparsity=0.6, seed=2)
    assert (one.connect(4).recurrent != two.connect(4).recurrent).any()
    for wiring in (one, two):
        assert np.count_nonzero(wiring.connect(4).recurrent) == round(81 * 0.4)
        assert np.count_nonzero(wiring.connect(4).sensory) == round(36 * 0.4)


@settings(max_examples=50, deadline=None)
@given(
    units=st.integers(6, 60),
    share=st.floats(0.1, 0.6),
    sparsity=st.floats(0, 0.95),
    inputs=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_ncp_is_layered_and_nobody_is_left_out(units, share, sparsity, inputs, seed):
    outputs = max(1, min(int(units * share), units - 3))
    wiring = AutoNCP(units, outputs, sparsity=sparsity, seed=seed)
    inter, command, motor = (np.array(layer) for layer in wiring.layers)
    assert len(motor) == outputs and motor[0] == 0
    assert sorted([*inter, *command, *motor]) == list(range(units))
    connections = wiring.connect(inputs)
    sensory, recurrent = connections.sensory, connections.recurrent
    allowed = np.zeros_like(recurrent, dtype=bool)
    for sources, targets in ((inter, command), (command, command), (command, motor)):
        allowed[np.ix_(sources, targets)] = True
    assert not recurrent[~allowed].any()
    assert not sensory[:, np.r_[command, motor]].any()
    assert sensory[:, inter].any(axis=0).all() and sensory.any(axis=1).all()
    assert recurrent[np.ix_(inter, command)].any(axis=0).all()
    assert recurrent[np.ix_(command, motor)].any(axis=1).all()
    assert recurrent[np.ix_(command, motor)].any(axis=0).all()


def test_a_wiring_of_ones_own(random):
    class Ring(Wiring):
        def connect(self, inputs):
            from lnn_keras.wirings import Connections

            ring = np.roll(np.eye(self.units, dtype="int8"), 1, axis=1)
            return Connections(np.ones((inputs, self.units), "int8"), ring)

    layer = LiquidRNN(LTCCell(Ring(6, outputs=2)))
    assert layer(random.standard_normal((2, 3, 4))).shape == (2, 2)
    assert layer.cell.recurrent.sources.tolist() == list(range(6))


def test_weights_live_on_synapses_alone():
    """The peer holds 4,590 trainable numbers for this wiring."""
    cell = LTCCell(AutoNCP(32, outputs=4))
    cell.build((None, 8))
    connections = cell.wiring.connect(8)
    expected = 4 * connections.synapse_count + 3 * 32 + 2 * 8 + 2 * 4
    assert cell.count_params() == expected < 1000


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: FullyConnected(0), "`units` must be an integer of at least 1; received 0"),
        (lambda: FullyConnected(3, outputs=4), "at most `units`; received 4 outputs of 3"),
        (lambda: Random(3, sparsity=1.0), r"`sparsity` must be in \[0, 1\); received 1"),
        (lambda: AutoNCP(8, outputs=6), "below units - 2 = 6; received 6"),
        (lambda: NCP(4, 3, 2, 5, 1, 1, 1), "`sensory_fanout` must be at most `inter`, 4; rec.* 5"),
        (lambda: Adjacency([[0, 1]], [[1, 1]]), r"`recurrent` must be square.*\(1, 2\)"),
        (lambda: Adjacency([[2]], [[1]]), "`recurrent` must hold -1, 0 and 1 alone; received .*2"),
        (lambda: Adjacency([[1]], [[1, 0]]), r"`sensory` must have shape \(inputs, 1\)"),
        (lambda: Adjacency([1], [[1]]), r"`recurrent` must be a matrix; received shape \(1,\)"),
        (lambda: WIRINGS["matrix"].connect(3), "has 4 inputs; received 3"),
        (lambda: LTCCell("auto"), "`wiring` must be a Wiring or a number of neurons; received str"),
    ],
)
def test_bad_arguments_are_named(make, named):
    with pytest.raises(ValueError, match=named):
        make()
