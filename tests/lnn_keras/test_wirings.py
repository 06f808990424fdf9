"""Wirings: pure functions of their arguments, with the documented structure."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnn_keras import LTCCell
from lnn_keras.wirings import NCP, Adjacency, AutoNCP, Connections, FullyConnected, Random, Wiring

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
REPRESENTATIONS = {
    "full": "FullyConnected(units=7, outputs=2, self_connections=True, seed=0)",
    "no-self": "FullyConnected(units=7, outputs=7, self_connections=False, seed=0)",
    "random": "Random(units=9, outputs=3, sparsity=0.6, seed=0)",
    "ncp": "NCP(inter=6, command=5, motor=2, sensory_fanout=3, inter_fanout=2, "
    "recurrent_synapses=4, motor_fanin=3, seed=0)",
    "auto": "AutoNCP(units=16, outputs=3, sparsity=0.7, seed=0)",
    "matrix": "Adjacency(inputs=4, units=2, outputs=2, synapses=6)",
}
every_wiring = pytest.mark.parametrize("wiring", WIRINGS.values(), ids=WIRINGS)


def built(wiring, inputs=4):
    cell = LTCCell(wiring, unfolds=1)
    cell.build((None, inputs))
    return cell


@every_wiring
def test_connect_is_a_pure_function(wiring):
    first, second = wiring.connect(4), wiring.connect(4)
    np.testing.assert_array_equal(first.sensory, second.sensory)
    np.testing.assert_array_equal(first.recurrent, second.recurrent)
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


@pytest.mark.parametrize("name", WIRINGS)
def test_a_representation_names_the_arguments(name):
    assert repr(WIRINGS[name]) == REPRESENTATIONS[name]


@every_wiring
def test_one_wiring_serves_two_cells(wiring, random):
    x = random.standard_normal((2, 4)).astype("float32")
    cells = [built(wiring) for _ in range(2)]
    for cell in cells:
        assert cell(x, cell.get_initial_state(2))[0].shape == (2, wiring.outputs)
    np.testing.assert_array_equal(cells[0].recurrent.sources, cells[1].recurrent.sources)


def test_seeds_change_positions_and_not_the_number_of_synapses():
    one, two = Random(9, sparsity=0.6, seed=1), Random(9, sparsity=0.6, seed=2)
    assert (one.connect(4).recurrent != two.connect(4).recurrent).any()
    for wiring in (one, two):
        assert np.count_nonzero(wiring.connect(4).recurrent) == round(81 * 0.4)
        assert np.count_nonzero(wiring.connect(4).sensory) == round(36 * 0.4)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    units=st.integers(6, 60),
    share=st.floats(0.1, 0.6),
    sparsity=st.floats(0, 0.95),
    inputs=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_ncp_has_layers_and_no_unconnected_neuron(units, share, sparsity, inputs, seed):
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


def test_a_user_defined_wiring(random):
    class Ring(Wiring):
        def connect(self, inputs):
            ring = np.roll(np.eye(self.units, dtype="int8"), 1, axis=1)
            return Connections(np.ones((inputs, self.units), "int8"), ring)

    cell = built(Ring(6, outputs=2))
    x = random.standard_normal((2, 4)).astype("float32")
    assert cell(x, cell.get_initial_state(2))[0].shape == (2, 2)
    assert cell.recurrent.sources.tolist() == list(range(6))
    assert repr(cell.wiring) == "Ring(units=6, outputs=2)"


def test_the_base_class_is_abstract():
    with pytest.raises(NotImplementedError, match="Wiring must implement `connect`"):
        Wiring(3).connect(2)


def test_only_existing_synapses_have_weights():
    """ncps has 4,590 trainable parameters for this wiring."""
    cell = built(AutoNCP(32, outputs=4), inputs=8)
    connections = cell.wiring.connect(8)
    expected = 4 * connections.synapse_count + 3 * 32 + 2 * 8 + 2 * 4
    assert cell.count_params() == expected < 1000


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FullyConnected(0), "`units` must be an integer of at least 1; received 0"),
        (lambda: FullyConnected(3, outputs=4), "at most `units`; received 4 outputs of 3"),
        (lambda: Random(3, sparsity=1.0), r"`sparsity` must be in \[0, 1\); received 1"),
        (lambda: AutoNCP(8, outputs=6), "below units - 2 = 6; received 6"),
        (lambda: NCP(4, 3, 2, 5, 1, 1, 1), "`sensory_fanout` must be at most `inter`, 4; rec.* 5"),
        (lambda: Adjacency([[0, 1]], [[1, 1]]), r"`recurrent` must be square.*\(1, 2\)"),
        (lambda: Adjacency([[2]], [[1]]), "`recurrent` must contain only -1, 0 and 1; rec.*2"),
        (lambda: Adjacency([[1]], [[1, 0]]), r"`sensory` must have shape \(inputs, 1\)"),
        (lambda: Adjacency([1], [[1]]), r"`recurrent` must be a matrix; received shape \(1,\)"),
        (lambda: WIRINGS["matrix"].connect(3), "has 4 inputs; received 3"),
        (lambda: LTCCell("auto"), "`wiring` must be a Wiring or a number of neurons; received str"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
