"""DiagonalLiquidCell: the theorems of its equation, its two solvers, and bad arguments."""

import keras
import numpy as np
import pytest
from gradients import compiled, gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from matrix import numbers, same

from lnn_keras import DiagonalLiquidCell, LiquidRNN
from lnn_keras.cells.diagonal_liquid import exact_map, semi_implicit_map
from lnn_keras.solvers import Dopri5, solve

BACKEND = keras.backend.backend()
# Logits of gates from almost closed to almost open, and time constants and times of any size.
logits = st.floats(-20, 20)
log_taus = st.floats(-3, 6)
times = st.floats(0, 50)
fractions = st.floats(0, 1)
in_double_precision = pytest.mark.skipif(BACKEND != "tensorflow", reason="needs float64")
fast = settings(max_examples=60, deadline=None)


def double(value):
    return ops.convert_to_tensor(np.asarray(value, "float64"))


def gates(a, b):
    return ops.sigmoid(double(a)), ops.sigmoid(double(b))


def increments_of(p, q, leak):
    """The equation as `solve` takes it: du/dt = f - (leak + f) u."""

    def increments(u, delta):
        f = p + (q - p) * u
        return delta * f, delta * (leak + f)

    return increments


@in_double_precision
@fast
@given(logits, logits, log_taus, times, fractions, fractions)
def test_two_parts_of_a_step_are_the_whole(a, b, log_tau, t, share, u):
    (p, q), leak = gates(a, b), double(np.exp(-log_tau))
    first, second, whole = (
        exact_map(p, q, leak, double(length)) for length in (share * t, t - share * t, t)
    )
    u = double(u)
    same(second(first(u)), whole(u), 1e-9)
    same(second.after(first)(u), whole(u), 1e-9)


@fast
@given(logits, logits, log_taus, times, fractions, fractions)
def test_parts_of_a_step_in_single_precision(a, b, log_tau, t, share, u):
    """Also where the gate is closed and the state at 0, an unstable fixed point."""
    p, q, leak, u, t = (
        ops.convert_to_tensor(np.float32(v))
        for v in (1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b)), np.exp(-log_tau), u, t)
    )
    first = exact_map(p, q, leak, share * t)
    second = exact_map(p, q, leak, (1 - share) * t)
    # The condition: how far a change of the state or the time by a rounding leads.
    rate = float(numbers(ops.abs(p) + ops.abs(q) + leak)) * float(numbers(t))
    same(second(first(u)), exact_map(p, q, leak, t)(u), 1e-6 * (1 + rate))


@in_double_precision
@fast
@given(logits, logits, log_taus, times, fractions)
def test_states_and_gates_keep_their_bounds(a, b, log_tau, t, u):
    (p, q), leak = gates(a, b), double(np.exp(-log_tau))
    for solution in (exact_map(p, q, leak, double(t)), semi_implicit_map(p, q, leak, double(t))):
        assert -1e-12 <= float(numbers(solution(double(u)))) <= 1 + 1e-12
    f = numbers(p + (q - p) * double(u))
    assert min(numbers(p), numbers(q)) - 1e-12 <= f <= max(numbers(p), numbers(q)) + 1e-12


@in_double_precision
@settings(max_examples=15, deadline=None)
@given(st.floats(-8, 8), st.floats(-8, 8), st.floats(-2, 4), st.floats(0.02, 20), fractions)
def test_the_exact_solution_is_that_of_dopri5(a, b, log_tau, t, u):
    (p, q), leak = gates(a, b), double(np.exp(-log_tau))
    method = Dopri5(rtol=1e-9, atol=1e-12, max_steps=5000, least_steps=1)
    start, length = double([[u]]), double([[t]])
    reference = solve(method, increments_of(p, q, leak), start, length)
    same(exact_map(p, q, leak, length)(start), reference, 1e-8)


@in_double_precision
def test_semi_implicit_steps_converge_at_order_one(random):
    p, q = (double(random.uniform(0, 1, 50)) for _ in range(2))
    leak, u = double(random.uniform(0.1, 2, 50)), double(random.uniform(0, 1, 50))
    exact = numbers(exact_map(p, q, leak, 2.0)(u))
    errors = [
        np.abs(numbers(semi_implicit_map(p, q, leak, 2.0 / n).power(n)(u)) - exact).mean()
        for n in (8, 16, 32, 64)
    ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[0] > 1e-3
    np.testing.assert_allclose(orders, 1, atol=0.1)


@pytest.mark.parametrize("solver", ["exact", "semi_implicit"])
@pytest.mark.parametrize("elapsed", [0.0, 1e-6, 1e15])
def test_times_of_any_length(solver, elapsed, random):
    cell = DiagonalLiquidCell(4, solver=solver, unfolds=2)
    x = random.standard_normal((8, 3)).astype("float32") * np.float32([[1e6]] * 4 + [[1]] * 4)
    h = random.uniform(0, 4, (8, 4)).astype("float32")
    output, _ = cell(x, [h], elapsed=elapsed)
    if elapsed == 0:
        same(output, h)
    assert (numbers(output) >= 0).all() and (numbers(output) <= 4 + 1e-5).all()


def test_the_limit_of_a_long_step_is_the_fixed_point(random):
    p, q, leak = (ops.convert_to_tensor(random.uniform(0.05, 0.95, 20), "float32") for _ in "pqr")
    u = exact_map(p, q, leak, 1e6)(ops.zeros((20,)))
    same(p + (q - 2 * p - leak) * u - (q - p) * u**2, ops.zeros((20,)), 1e-6)


def test_gates_that_are_closed(random):
    """With p = 0, 0 is an unstable fixed point; derivatives are finite where w is 0."""
    zero, one = ops.zeros((3,)), ops.ones((3,))
    for t in (1.0, 1e3, 1e15):
        solution = exact_map(zero, one, 0.1 * one, t)
        same(solution(zero), zero)
        assert np.isfinite(numbers(solution.after(solution)(zero + 0.5))).all()
    cell = DiagonalLiquidCell(2, tau_initializer="ones")
    cell.build((None, 1))
    # q = 1 / tau and p = 0, so that w = 0.
    cell.kernel.assign(np.float32([[-200, -200, 200, 200]]))
    found = gradients(
        lambda: ops.sum(cell(ops.ones((1, 1)), [ops.zeros((1, 2)) + 0.5])[0]),
        cell.trainable_variables,
    )
    assert all(np.isfinite(gradient).all() for gradient in found)


def test_states_beyond_the_bounds_count_as_the_bounds(x):
    layer = LiquidRNN(DiagonalLiquidCell(5), return_sequences=True)
    low, high = (
        layer(x, initial_state=[np.full((3, 5), value, "float32")]) for value in (-3.0, 9.0)
    )
    same(low, layer(x))
    same(high, layer(x, initial_state=[np.full((3, 5), 4.0, "float32")]))


def test_a_readable_config_and_weights():
    cell = DiagonalLiquidCell(3, tau_initializer="ones", reversal_initializer="ones")
    cell.build((None, 2))
    assert [w.name for w in cell.weights] == ["kernel", "bias", "log_tau", "log_reversal"]
    same(cell.tau, np.ones(3))
    same(cell.reversal, np.ones(3))
    assert DiagonalLiquidCell.from_config(cell.get_config()).get_config() == cell.get_config()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(units=0), "`units` must be an integer of at least 1; received 0"),
        (dict(unfolds=0), "`unfolds` must be an integer of at least 1"),
        (dict(solver="dopri5"), "Unknown solver 'dopri5'; allowed: exact, semi_implicit"),
        (dict(elapsed=-1.0), "`elapsed` must be a finite number of at least 0"),
        (dict(recurrent_dropout=0.1), "takes no `recurrent_dropout`"),
        (dict(dropout=1.0), r"`dropout` must be in \[0, 1\)"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        DiagonalLiquidCell(**{"units": 3, **options})


@pytest.mark.parametrize("argument", ["reversal_initializer", "tau_initializer"])
def test_dead_neurons_are_refused(argument):
    cell = DiagonalLiquidCell(3, **{argument: "zeros"})
    with pytest.raises(ValueError, match=f"`{argument}` must give values above 0"):
        cell.build((None, 2))


def test_negative_times_are_refused(x):
    cell = DiagonalLiquidCell(3)
    with pytest.raises(ValueError, match="`elapsed` must be finite and at least 0"):
        cell(x[:, 0], [np.zeros((3, 3), "float32")], elapsed=np.float32([[-1]] * 3))
    layer = LiquidRNN(cell, return_sequences=True)
    layer.build(x.shape)
    if BACKEND != "torch":
        function = compiled(lambda x, elapsed: layer(x, elapsed=elapsed))
        outputs = numbers(function(x, np.float32([[1, 1, -1, 1, 1, 1, 1]] * 3)))
        assert np.isfinite(outputs[:, :2]).all() and np.isnan(outputs[:, 2:]).all()
