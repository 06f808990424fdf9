"""lnn_keras.inspect.record: quantities follow from the cells' equations, for any model."""

import keras
import numpy as np
import pytest
from keras import ops

import lnn_keras
from lnn_keras.inspect import record
from lnn_keras.solvers import Dopri5, solve

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(3, 8, 4)).astype("float32")
ELAPSED = RANDOM.uniform(0.1, 1.0, (3, 8)).astype("float32")
MASK = np.arange(8) < np.array([[8], [5], [1]])


def wiring():
    return lnn_keras.wirings.AutoNCP(12, outputs=2)


def rnn(cell, **options):
    return lnn_keras.LiquidRNN(cell, return_sequences=True, **options)


def recorded(cell, elapsed=None, **options):
    """The arrays of a layer with this cell, and the states before the steps (batch, time, size)."""
    layer = rnn(cell, **options)
    found = record(layer, X, elapsed=elapsed)[layer.name]
    np.testing.assert_array_equal(found["previous_state"][:, 1:], found["state"][:, :-1])
    assert not found["previous_state"][:, 0].any()
    np.testing.assert_allclose(found["inputs"], X, rtol=1e-6)
    return found, found["previous_state"]


SEMI_IMPLICIT = {
    "liquid": lambda: lnn_keras.LiquidCell(5, unfolds=1),
    "ctrnn": lambda: lnn_keras.CTRNNCell(5, unfolds=1),
    "node": lambda: lnn_keras.NODECell(5, unfolds=1),
    "lrc": lambda: lnn_keras.LRCCell(5, unfolds=1),
    "lef": lambda: lnn_keras.LEFCell(5, unfolds=1),
    "ltc": lambda: lnn_keras.LTCCell(wiring(), unfolds=1),
    "diagonal": lambda: lnn_keras.DiagonalLiquidCell(5, solver="semi_implicit"),
}


@pytest.mark.parametrize("name", SEMI_IMPLICIT)
def test_time_constant_and_equilibrium_give_the_semi_implicit_step(name):
    found, before = recorded(SEMI_IMPLICIT[name](), elapsed=ELAPSED)
    ratio = ELAPSED[..., None] / found["time_constant"]
    step = (before + ratio * found["equilibrium"]) / (1 + ratio)
    np.testing.assert_allclose(found["state"], step, rtol=1e-4, atol=1e-5)
    slope = (found["equilibrium"] - before) / found["time_constant"]
    np.testing.assert_allclose(found["derivative"], slope, rtol=1e-3, atol=1e-4)


def test_the_time_constant_of_liquid_cells_is_tau_over_one_plus_tau_f():
    for cell in (lnn_keras.LiquidCell(5), lnn_keras.DiagonalLiquidCell(5)):
        found, _ = recorded(cell)
        tau = ops.convert_to_numpy(cell.tau)
        expected = tau / (1 + tau * found["gate"])
        np.testing.assert_allclose(found["time_constant"], expected, rtol=1e-5)
        assert (found["time_constant"] <= tau * (1 + 1e-6)).all()
        assert (found["time_constant"] >= tau / (1 + tau) * (1 - 1e-6)).all()


def test_the_currents_of_an_ltc_cell_add_up_to_its_derivative():
    cell = lnn_keras.LTCCell(wiring())
    found, _ = recorded(cell)
    connections = cell.wiring.connect(4)
    total = found["leak_current"].copy()
    for kind in ("sensory", "recurrent"):
        currents = found[f"{kind}_current"]
        _, targets = np.nonzero(getattr(connections, kind))
        assert currents.shape == (3, 8, len(targets))
        for synapse, target in enumerate(targets):
            total[..., target] += currents[..., synapse]
    capacitance = np.exp(ops.convert_to_numpy(cell.log_capacitance))
    np.testing.assert_allclose(found["derivative"], total / capacitance, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
@pytest.mark.parametrize("wired", [False, True])
def test_the_heads_of_a_cfc_cell_give_its_step(mode, wired):
    cell = lnn_keras.CfCCell(5, mode=mode)
    if wired:
        cell = lnn_keras.WiredCfCCell(wiring(), mode=mode)
    found, _ = recorded(cell, elapsed=ELAPSED)
    before = found["before"]
    if mode == "pure":
        cells = getattr(cell, "cells", [cell])
        amplitude = np.concatenate([ops.convert_to_numpy(part.amplitude) for part in cells])
        decayed = np.exp(-ELAPSED[..., None] / found["time_constant"])
        step = amplitude * (1 - before * decayed)
    else:
        gate, after = found["gate"], found["after"]
        step = (before if mode == "no_gate" else before * (1 - gate)) + after * gate
    np.testing.assert_allclose(found["state"], step, rtol=1e-4, atol=1e-5)


def test_the_gates_of_a_ct_gru_cell_give_its_step():
    cell = lnn_keras.CTGRUCell(5, scales=3)
    found, before = recorded(cell, elapsed=ELAPSED)
    decayed = before.reshape(3, 8, 5, 3) * np.exp(-ELAPSED[..., None, None] / cell.tau)
    write = found["write_gate"]
    step = (1 - write) * decayed + write * found["event"][..., None]
    np.testing.assert_allclose(found["state"], step.reshape(3, 8, 15), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["read_gate"].sum(-1), 1, rtol=1e-5)
    within = (found["time_constant"] > cell.tau.min()) & (found["time_constant"] < cell.tau.max())
    assert within.all()


def test_the_gates_of_an_ode_rnn_cell_give_its_update():
    found, before = recorded(lnn_keras.ODERNNCell(5), elapsed=np.zeros_like(ELAPSED))
    update = found["update_gate"]
    step = update * before + (1 - update) * found["candidate"]
    np.testing.assert_allclose(found["state"], step, rtol=1e-4, atol=1e-6)
    assert "time_constant" not in found


def test_mixed_memory_has_its_gates_and_the_quantities_of_its_cell():
    layer = rnn(lnn_keras.MixedMemoryCell(lnn_keras.LiquidCell(5, unfolds=1)))
    found = record(layer, X)[layer.name]
    memory = found["state_0"]
    earlier = np.concatenate([np.zeros_like(memory[:, :1]), memory[:, :-1]], axis=1)
    candidate = (memory - found["forget_gate"] * earlier) / found["input_gate"]
    assert (np.abs(candidate) <= 1 + 1e-5).all()
    h = np.concatenate([np.zeros((3, 1, 5)), found["state_1"][:, :-1]], axis=1)
    ratio = 1 / found["time_constant"]
    step = (h + ratio * found["equilibrium"]) / (1 + ratio)
    np.testing.assert_allclose(found["state_1"], step, rtol=1e-4, atol=1e-5)


def test_the_steps_of_dopri5_are_counted():
    cell = lnn_keras.NODECell(5, solver="dopri5", unfolds=1)
    found, _ = recorded(cell, elapsed=10 * ELAPSED)
    assert found["accepted_steps"].shape == (3, 8, 1)
    assert (found["accepted_steps"] >= 1).all() and (found["rejected_steps"] >= 0).all()


def test_a_solver_with_one_step_less_than_counted_does_not_finish():
    def increments(h, delta):
        return delta * ops.sin(5 * h), delta * (1 + ops.square(h))

    h = ops.convert_to_tensor([[2.0, -1.0]])
    counts = Dopri5(1e-4, 1e-6, 256).count_steps(increments, h, 6.0)
    accepted, rejected = (int(ops.convert_to_numpy(count)[0, 0]) for count in counts)
    assert accepted > 5 and rejected > 0
    total = accepted + rejected
    ends = [solve(Dopri5(1e-4, 1e-6, limit), increments, h, 6.0) for limit in (total, total - 1)]
    enough, too_few = (ops.convert_to_numpy(end) for end in ends)
    assert np.isfinite(enough).all() and np.isnan(too_few).all()


def step_by_step(layer, x, elapsed=None):
    """The states after each step of a layer, by calls of its cell."""
    states, found = layer.cell.get_initial_state(batch_size=len(x)), []
    for number in range(x.shape[1]):
        options = {} if elapsed is None else {"elapsed": elapsed[:, number]}
        _, states = layer.cell(x[:, number], states, **options)
        found.append(ops.convert_to_numpy(states[0]))
    return np.stack(found, axis=1)


@pytest.mark.parametrize("wrapper", [lnn_keras.LiquidRNN, keras.layers.RNN])
def test_states_are_those_of_the_cell_step_by_step(wrapper):
    layer = wrapper(lnn_keras.LiquidCell(5))
    recording = record(layer, X)
    found = recording[layer.name]["state"]
    np.testing.assert_allclose(found, step_by_step(layer, X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(recording.outputs, found[:, -1], rtol=1e-5, atol=1e-6)


def test_masked_steps_are_nan_and_keep_the_states():
    layer = rnn(lnn_keras.LiquidCell(5))
    recording = record(layer, X, elapsed=ELAPSED, mask=MASK)
    for array in recording[layer.name].values():
        assert np.isfinite(array[MASK]).all() and np.isnan(array[~MASK]).all()
    whole = record(layer, X, elapsed=ELAPSED)[layer.name]
    first_steps = np.where(MASK[..., None], whole["state"], np.nan)
    np.testing.assert_allclose(recording[layer.name]["state"], first_steps, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("timed", [False, True])
def test_both_directions_are_in_the_order_of_the_inputs(timed):
    if timed:
        layer = lnn_keras.Bidirectional(rnn(lnn_keras.LiquidCell(5)))
        recording = record(layer, X, elapsed=ELAPSED)
    else:
        inner = keras.layers.RNN(lnn_keras.LiquidCell(5), return_sequences=True)
        layer = keras.layers.Bidirectional(inner)
        recording = record(layer, X)
    assert len(recording) == 2
    states = [found["state"] for found in recording.values()]
    joined = np.concatenate(states, axis=-1)
    np.testing.assert_allclose(recording.outputs, joined, rtol=1e-5, atol=1e-6)


def test_nested_models_repeated_calls_and_keras_layers():
    encoder = keras.Sequential(
        [keras.layers.Input((None, 4)), rnn(lnn_keras.LiquidCell(4), name="rnn")], name="encoder"
    )
    x = keras.Input((None, 4))
    h = encoder(encoder(x))
    stack = lnn_keras.LiquidStack(4, 2, width=4, blocks=1, name="stack")
    model = keras.Model(x, keras.layers.LSTM(3, name="lstm")(stack(h)))
    recording = record(model, X, batch_size=2)
    assert list(recording)[:2] == ["encoder/rnn", "encoder/rnn:2"]
    assert list(recording["lstm"])[:2] == ["state_0", "state_1"]
    diagonal = next(name for name in recording if name.startswith("stack/"))
    assert recording[diagonal]["time_constant"].shape[:2] == (3, 8)
    np.testing.assert_allclose(recording.outputs, recording["lstm"]["state_0"][:, -1], atol=1e-6)
    np.testing.assert_allclose(recording.outputs, model.predict(X, verbose=0), atol=1e-6)
    assert set(recording.arrays()) > {"encoder/rnn/gate", "lstm/state_0"}


def test_stacked_cells_have_the_quantities_of_each():
    cells = [lnn_keras.LiquidCell(5), keras.layers.LSTMCell(3), lnn_keras.CfCCell(2)]
    layer = keras.layers.RNN(cells, name="stacked")
    recording = record(layer, X)
    found = recording["stacked"]
    assert found["cell_0/gate"].shape == (3, 8, 5) and found["cell_2/gate"].shape == (3, 8, 2)
    after = found["cell_2/before"] * (1 - found["cell_2/gate"])
    after = after + found["cell_2/after"] * found["cell_2/gate"]
    np.testing.assert_allclose(found["state_3"], after, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(recording.outputs, found["state_3"][:, -1], rtol=1e-5, atol=1e-6)


def test_models_with_times_as_inputs_and_subclassed_models():
    features, times = keras.Input((8, 4), name="x"), keras.Input((8,), name="elapsed")
    layer = rnn(lnn_keras.CfCCell(5), name="rnn")
    model = keras.Model({"x": features, "elapsed": times}, layer(features, elapsed=times))
    found = record(model, {"x": X, "elapsed": ELAPSED})["rnn"]
    np.testing.assert_allclose(found["elapsed"], ELAPSED, rtol=1e-6)

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.rnn = rnn(lnn_keras.LiquidCell(3), name="own")

        def call(self, x):
            return self.rnn(x)

    recording = record(Own(), X)
    np.testing.assert_allclose(recording.outputs, recording["own"]["state"], atol=1e-6)


def test_last_feature_single_steps_and_half_precision():
    joined = np.concatenate([X, ELAPSED[..., None]], axis=-1)
    layer = keras.layers.RNN(lnn_keras.LiquidCell(5, elapsed="last_feature"), name="timed")
    found = record(layer, joined)["timed"]
    np.testing.assert_allclose(found["elapsed"], ELAPSED, rtol=1e-6)
    np.testing.assert_allclose(found["state"], step_by_step(layer, joined), rtol=1e-5, atol=1e-6)
    assert record(layer, joined[:, :1])["timed"]["gate"].shape == (3, 1, 5)
    half = rnn(lnn_keras.LiquidCell(5, dtype="mixed_float16"), name="half")
    assert np.isfinite(record(half, X)["half"]["time_constant"]).all()


def test_recording_changes_nothing():
    layer = rnn(lnn_keras.LiquidCell(5), stateful=True)
    layer(X)
    before = [ops.convert_to_numpy(value).copy() for value in (*layer.states, *layer.weights)]
    record(layer, X)
    after = [ops.convert_to_numpy(value) for value in (*layer.states, *layer.weights)]
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    assert "inner_loop" not in vars(layer)


def test_what_cannot_be_recorded_is_refused():
    with pytest.raises(ValueError, match="must be a Keras model or layer; received int"):
        record(3, X)
    dense = keras.Sequential([keras.layers.Input((8, 4)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"no recurrent layer.*Dense.*LiquidRNN.*GRU"):
        record(dense, X)
    model = keras.Sequential([keras.layers.Input((8, 4)), rnn(lnn_keras.LiquidCell(5))])
    with pytest.raises(ValueError, match="give them in `inputs`"):
        record(model, X, elapsed=1.0)
    with pytest.raises(ValueError, match="takes no `elapsed`"):
        record(keras.layers.RNN(lnn_keras.LiquidCell(5)), X, elapsed=1.0)
    with pytest.raises(ValueError, match=r"received the cell.*LiquidRNN\(cell\)"):
        record(lnn_keras.LiquidCell(5), X)
    with pytest.raises(ValueError, match=r"at least 1; received arrays of shapes \[\(0, 8, 4\)\]"):
        record(model, X[:0])
    recording = record(model, X.tolist())
    with pytest.raises(ValueError, match=r"at least 1; received arrays of shapes \[\(\)\]"):
        record(model, "sensors.csv")
    with pytest.raises(KeyError, match="there are"):
        recording["other"]
    with pytest.raises(KeyError, match="it has"):
        recording[next(iter(recording))]["other"]
