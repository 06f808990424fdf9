"""The guard rails of OnlineDynamics: bad streams leave finite parameters near the trained ones."""

import math

import keras
import numpy as np
import pytest
from gradients import compiled
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from matrix import numbers, same
from online import CELLS, FEATURES, UNITS, built, learned

from lnn_keras import DiagonalLiquidCell
from lnn_keras.adapt import OnlineDynamics

NOT_FINITE = [float("nan"), float("inf"), -float("inf")]
upstreams = st.lists(
    st.one_of(st.floats(-1e6, 1e6, width=32), st.sampled_from([*NOT_FINITE, 1e30, -3e38, 1e6])),
    min_size=8,
    max_size=8,
)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param("exact", "sgd", marks=pytest.mark.slow),
        ("exact", "rmsprop"),
        ("ltc", "rmsprop"),
    ],
)
def test_parameters_stay_within_the_trust_region(name, method):
    cell = built(CELLS[name]())
    online = OnlineDynamics(cell, 10.0, method=method, trust_region=0.02)
    trained = [numbers(parameter) for parameter in online.initial_state().parameters]

    @compiled
    def step(x, upstream, state):
        _, state = online.advance(x, state)
        return online.learn(upstream, state, error=ops.sum(ops.square(upstream)))

    @settings(max_examples=8, deadline=None)
    @given(upstreams, st.sampled_from([0.0, 1.0, -1e6, float("nan"), float("inf")]))
    def check(values, x):
        state = online.initial_state()
        for value in values:
            arguments = (np.full(FEATURES, x, "float32"), np.full(UNITS, value, "float32"))
            state = step(*map(ops.convert_to_tensor, arguments), state)
        for parameter, weight in zip(state.parameters, trained, strict=True):
            distance = np.linalg.norm(numbers(parameter) - weight)
            scale = max(np.linalg.norm(weight), 0.1 * weight.size**0.5)
            assert distance <= 0.02 * scale * 1.0001
        assert all(np.isfinite(numbers(tensor)).all() for tensor in keras.tree.flatten(state))
        log = online.log(state)
        assert log["skipped"] >= sum(not math.isfinite(value) for value in values)
        assert log["learned"] + log["skipped"] == len(values)
        assert log["distance"] <= 0.02001

    check()


def test_missing_targets_leave_the_parameters(random):
    """A stream without targets for long, and constant inputs, then targets again."""
    online = OnlineDynamics(built(DiagonalLiquidCell(2)), 0.01)
    start = learned(online, np.ones((20, FEATURES)), np.ones((20, 2)))
    gap = learned(online, np.ones((200, FEATURES)), np.full((200, 2), np.nan), state=start)
    for kept, parameter in zip(start.parameters, gap.parameters, strict=True):
        same(parameter, kept, 0)
    for kept, mean in zip(start.squares, gap.squares, strict=True):
        same(mean, kept, 0)
    assert online.log(gap)["skipped"] == 200
    end = learned(online, random.random((5, FEATURES)), np.ones((5, 2)), state=gap)
    assert online.log(end)["learned"] == 25
    assert np.abs(numbers(end.parameters[1]) - numbers(gap.parameters[1])).max() > 1e-4


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch runs loops in Python")
def test_constant_inputs_and_a_day_without_targets():
    """10^5 equal steps, a day of one step a second without targets, and a new stream."""
    online = OnlineDynamics(built(DiagonalLiquidCell(2)), 0.01)
    x = ops.ones(FEATURES)

    def steps(count, upstream, state):
        def step(i, state):
            _, state = online.advance(x, state)
            return i + 1, online.learn(upstream, state, error=1.0)

        start = (ops.zeros((), "int32"), state)
        return ops.while_loop(lambda i, _: i < count, step, start)[1]

    run = compiled(steps)
    wound_up = run(100_000, ops.ones(2), online.initial_state())
    assert online.log(wound_up)["distance"] <= 0.50001
    day = run(86_400, ops.full((2,), float("nan")), wound_up)
    assert all(np.isfinite(numbers(tensor)).all() for tensor in keras.tree.flatten(day))
    for kept, parameter in zip(wound_up.parameters, day.parameters, strict=True):
        same(parameter, kept, 0)
    # The opposite gradient leads back at once: nothing has wound up.
    back = run(300, -ops.ones(2), day)
    assert online.log(back)["skipped"] == 86_400
    moved = numbers(back.parameters[1] - day.parameters[1])
    assert np.abs(moved).max() > 0.5


def test_an_outlier_of_the_targets_does_not_stop_learning(random):
    """The mean of squares forgets an outlier of 1e6 at once: it counts as ten usual gradients."""
    online = OnlineDynamics(built(DiagonalLiquidCell(2)), 0.001)
    upstream = np.ones((40, 2))
    upstream[20] = 1e6
    before = learned(online, np.ones((20, FEATURES)), upstream[:20])
    state = learned(online, np.ones((20, FEATURES)), upstream[20:], state=before)
    assert online.log(state)["clipped"] == 1
    pairs = zip(state.squares, before.squares, strict=True)
    assert max(numbers(ops.max(after) / ops.max(b)) for after, b in pairs) < 1e3


def test_growing_errors_bring_the_trained_weights_back():
    online = OnlineDynamics(built(DiagonalLiquidCell(2)), 1e-3, horizon=10, return_above=1.5)
    usual = learned(online, np.ones((30, FEATURES)), np.ones((30, 2)), [1.0] * 30)
    away = online.log(usual)["distance"]
    assert online.log(usual)["returned"] == 0 and away > 1e-3
    nothing = np.full((30, 2), np.nan)
    back = learned(online, np.ones((30, FEATURES)), nothing, [4.0] * 30, state=usual)
    log = online.log(back)
    assert log["returned"] == 1
    assert log["distance"] == pytest.approx(away * 0.5 ** log["returned"], rel=1e-3)
    # The errors have a new level, which is not a reason to return.
    later = learned(online, np.ones((50, FEATURES)), np.full((50, 2), np.nan), [4.0] * 50, back)
    assert online.log(later)["returned"] == log["returned"]
    # One outlier is no trend, and NaN does not count.
    errors = [4.0, 4e6, float("nan"), 4.0]
    later = learned(online, np.ones((4, FEATURES)), nothing[:4], errors, later)
    assert online.log(later)["returned"] == log["returned"]


def test_inputs_that_are_not_finite_leave_the_state(random):
    online = OnlineDynamics(built(DiagonalLiquidCell(2)), 0.01)
    _, state = online.advance(np.ones(FEATURES, "float32"), online.initial_state())
    for value in NOT_FINITE:
        output, new = online.advance(np.array([1.0, value, 1.0], "float32"), state)
        assert np.isnan(numbers(output)).all()
        for kept, tensor in zip((state.h, *state.traces), (new.h, *new.traces), strict=True):
            same(tensor, kept, 0)
        assert online.log(new)["gaps"] == 1
    output, _ = online.advance(np.ones(FEATURES, "float32"), new)
    assert np.isfinite(numbers(output)).all()


def test_constraints_hold(random):
    """Leaks and weights of synapses stay at least 0."""
    cell = built(CELLS["ltc"](weight_initializer=keras.initializers.Constant(0.01)))
    online = OnlineDynamics(cell, 10.0, trust_region=10.0, largest_step=1.0)
    state = learned(online, random.random((5, FEATURES)), -np.ones((5, UNITS)))
    weights = dict(zip([w.name for w in cell.weights], online.adapted_weights(state), strict=True))
    assert weights["weight"].min() == 0 and weights["leak"].min() >= 0
    assert weights["mu"].min() < 0
