"""The equations of the ODE cells, and theorems about them."""

import keras
import numpy as np
import pytest
from gradients import gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import numbers

from lnn_keras import CTRNNCell, LEFCell, LiquidCell, LRCCell, LTCCell, NODECell
from lnn_keras.wirings import AutoNCP

needs_double_precision = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Keras computes in float32 on JAX, and multiplies matrices in float32 on torch",
)

CELLS = {
    "liquid": LiquidCell,
    "node": NODECell,
    "node-rk4": lambda *a, **k: NODECell(*a, solver="rk4", **k),
    "liquid-euler": lambda *a, **k: LiquidCell(*a, solver="euler", **k),
}
moderate = st.floats(-20, 20, width=32)
positive = st.floats(0.0078125, 128, width=32)
# The same examples in every run.
few_examples = settings(max_examples=20, deadline=None, derandomize=True)


def built(cell, features=3):
    cell.build((None, features))
    return cell


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture(scope="module")
def liquid():
    """A cell for tests that assign its weights in every example."""
    return built(LiquidCell(4, unfolds=3))


def liquid_reference(cell, x, h, elapsed):
    """Equation 3 of the paper in float64."""
    kernel, recurrent, bias, log_tau, reversal = (
        numbers(v).astype("float64")
        for v in (cell.kernel, cell.recurrent_kernel, cell.bias, cell.log_tau, cell.reversal)
    )
    delta = elapsed / cell.unfolds
    for _ in range(cell.unfolds):
        f = sigmoid(x @ kernel + h @ recurrent + bias)
        h = (h + delta * f * reversal) / (1 + delta * (1 / np.exp(log_tau) + f))
    return h


def node_reference(cell, x, h, elapsed):
    kernel, recurrent, bias, log_tau = (
        numbers(v).astype("float64")
        for v in (cell.kernel, cell.recurrent_kernel, cell.bias, cell.log_tau)
    )
    delta = elapsed / cell.unfolds
    for _ in range(cell.unfolds):
        g = np.tanh(x @ kernel + h @ recurrent + bias)
        h = (h + delta * g) / (1 + delta / np.exp(log_tau))
    return h


@pytest.mark.parametrize(
    ("cell_class", "reference"), [(LiquidCell, liquid_reference), (NODECell, node_reference)]
)
def test_equation(cell_class, reference, random):
    cell = built(cell_class(5, unfolds=4, tau_initializer=keras.initializers.Constant(1.7)))
    x, h = random.standard_normal((7, 3)), random.standard_normal((7, 5))
    elapsed = random.random((7, 1)) * 3
    output, (state,) = cell(x, [h], elapsed=elapsed)
    expected = reference(cell, x, h, elapsed)
    np.testing.assert_allclose(numbers(output), expected, atol=2e-6)
    np.testing.assert_array_equal(numbers(output), numbers(state))


def test_golden_values():
    """Computed by hand: f = sigmoid(0.5) = 0.6224593, one step of length 1."""
    cell = LiquidCell(
        1,
        unfolds=1,
        kernel_initializer="ones",
        recurrent_initializer="zeros",
        bias_initializer="zeros",
        reversal_initializer="ones",
        tau_initializer=keras.initializers.Constant(2.0),
    )
    output, _ = cell(np.array([[0.5]]), [np.array([[0.25]])])
    # (0.25 + 0.6224593) / (1 + 0.5 + 0.6224593)
    np.testing.assert_allclose(numbers(output), [[0.4110608]], atol=1e-6)


@few_examples
@given(
    x=st.lists(moderate, min_size=3, max_size=3),
    fraction=st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4),
    reversal=st.lists(moderate, min_size=4, max_size=4),
    tau=st.lists(positive, min_size=4, max_size=4),
    elapsed=st.floats(0, 1000, width=32),
    seed=st.integers(0, 2**16),
)
def test_theorem_state_stays_between_zero_and_reversal(
    liquid, x, fraction, reversal, tau, elapsed, seed
):
    """Theorem 2: a state that starts in [min(0, A), max(0, A)] stays there."""
    random = np.random.default_rng(seed)
    reversal = np.array(reversal, "float32")
    liquid.kernel.assign(random.standard_normal((3, 4)) * 3)
    liquid.recurrent_kernel.assign(random.standard_normal((4, 4)) * 3)
    liquid.reversal.assign(reversal)
    liquid.log_tau.assign(np.log(tau))
    low, high = np.minimum(0, reversal), np.maximum(0, reversal)
    state = (low + np.array(fraction) * (high - low))[None].astype("float32")
    for _ in range(3):
        _, (state,) = liquid(np.array([x], "float32"), [state], elapsed=elapsed)
        state = numbers(state)
        slack = 1e-6 * (1 + np.abs(reversal))
        assert (state >= low - slack).all()
        assert (state <= high + slack).all()


@few_examples
@given(
    x=st.lists(moderate, min_size=3, max_size=3),
    h=st.lists(moderate, min_size=4, max_size=4),
    tau=st.lists(positive, min_size=4, max_size=4),
)
def test_theorem_effective_time_constant(liquid, x, h, tau):
    """Theorem 1: tau_sys = tau / (1 + tau f) lies in [tau / (1 + tau), tau]."""
    liquid.log_tau.assign(np.log(tau))
    projected = liquid.project(np.array([x], "float32"))
    constants = liquid.constants()
    _, decay = liquid.increments(projected, np.array([h], "float32"), 1.0, *constants)
    tau, tau_sys = numbers(liquid.tau), 1 / numbers(decay)
    assert (tau_sys <= tau * (1 + 1e-5)).all()
    assert (tau_sys >= tau / (1 + tau) * (1 - 1e-5)).all()


@pytest.mark.parametrize("name", CELLS)
def test_two_half_steps_approximate_one_step(name, random):
    cell = built(CELLS[name](4, unfolds=256))
    x, h = random.standard_normal((6, 3)), random.standard_normal((6, 4))
    _, one = cell(x, [h], elapsed=1.0)
    _, half = cell(x, [h], elapsed=0.5)
    _, two_halves = cell(x, half, elapsed=0.5)
    np.testing.assert_allclose(numbers(one[0]), numbers(two_halves[0]), atol=0.02)


@needs_double_precision
@pytest.mark.parametrize("name", CELLS)
def test_gradients_equal_finite_differences(name, random):
    cell = built(CELLS[name](3, unfolds=3, dtype="float64"), features=2)
    x, h = random.standard_normal((4, 2)), random.standard_normal((4, 3))
    elapsed, weights = random.random((4, 1)), random.standard_normal((4, 3))

    def loss():
        return keras.ops.sum(cell(x, [h], elapsed=elapsed)[0] * weights)

    variables = cell.trainable_variables
    for variable, gradient in zip(variables, gradients(loss, variables), strict=True):
        start, epsilon = keras.ops.convert_to_numpy(variable), 1e-6
        numeric = np.zeros_like(start)
        for index in np.ndindex(start.shape):
            sides = []
            for sign in (1, -1):
                moved = start.copy()
                moved[index] += sign * epsilon
                variable.assign(moved)
                sides.append(float(loss()))
            numeric[index] = (sides[0] - sides[1]) / (2 * epsilon)
        variable.assign(start)
        np.testing.assert_allclose(gradient, numeric, atol=1e-7, rtol=1e-6)


@needs_double_precision
@pytest.mark.parametrize("cell_class", [LiquidCell, NODECell, CTRNNCell, LTCCell, LRCCell, LEFCell])
def test_halving_the_steps_converges_at_the_order_of_the_solver(cell_class, random):
    # Explicit steps of this length need a slower and smoother LTCCell than the default one.
    slow = {"capacitance_initializer": "ones", "sigma_initializer": "ones"}
    options = slow if cell_class is LTCCell else {}
    cell = built(cell_class(5, dtype="float64", **options))
    x = random.standard_normal((4, 3))
    h = random.standard_normal((4, cell.state_size)) * 0.5

    def solution(solver, unfolds):
        cell.solver, cell.unfolds = solver, unfolds
        _, (state,) = cell(x, [h], elapsed=0.15)
        return numbers(state)

    exact, steps = solution("rk4", 32), np.array([4, 8, 16])
    for solver, order in {"semi_implicit": 1, "euler": 1, "midpoint": 2, "rk4": 4}.items():
        errors = [np.abs(solution(solver, n) - exact).max() for n in steps]
        measured = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
        assert abs(measured - order) < 0.2, solver


@pytest.mark.parametrize("wired", [False, True])
def test_ltc_steps_with_the_batch_last_are_equal(wired, random):
    """`advance_batch_last` uses padded rows of synapses, `advance` the edge list."""
    cell = built(LTCCell(AutoNCP(12, outputs=3) if wired else 5, unfolds=2))
    x, h, elapsed = (
        keras.ops.convert_to_tensor(random.random((4, size)), "float32")
        for size in (3, cell.state_size, 1)
    )
    weights = random.standard_normal((4, cell.output_size)).astype("float32")
    transpose = keras.ops.transpose

    def batch_first():
        return cell.advance(cell.project(x), [h], elapsed)[0]

    def batch_last():
        arguments = (transpose(cell.project(x)), [transpose(h)], transpose(elapsed))
        output, _ = cell.advance_batch_last(*arguments, cell.constants())
        return transpose(output)

    np.testing.assert_allclose(numbers(batch_first()), numbers(batch_last()), atol=1e-6)
    of_both = [
        gradients(lambda step=step: keras.ops.sum(step() * weights), cell.trainable_variables)
        for step in (batch_first, batch_last)
    ]
    for first, last in zip(*of_both, strict=True):
        np.testing.assert_allclose(first, last, atol=1e-5)


def test_euler_diverges_in_training_where_semi_implicit_does_not(random):
    """One long step of a fast neuron: |1 - delta decay| is above 1."""
    x = random.standard_normal((16, 6, 3)).astype("float32")
    y = np.tanh(np.cumsum(x, axis=1) / 3)[..., :1]
    losses = {}
    for solver in ("semi_implicit", "euler"):
        cell = LiquidCell(8, solver=solver, unfolds=1, elapsed=30.0)
        layer = keras.layers.RNN(cell, return_sequences=True, unroll=True)
        model = keras.Sequential([layer, keras.layers.Dense(1)])
        model.build(x.shape)
        optimizer = keras.optimizers.Adam(0.03)

        def loss(model=model):
            return keras.ops.mean(keras.ops.square(model(x) - y))

        losses[solver] = [float(loss())]
        for _ in range(6):
            optimizer.apply(gradients(loss, model.trainable_variables), model.trainable_variables)
        losses[solver].append(float(loss()))
    assert losses["semi_implicit"][-1] < losses["semi_implicit"][0] < 10
    assert not np.isfinite(losses["euler"][-1]) or losses["euler"][-1] > 1e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "`units`.*received 0"),
        ({"units": 2.5}, "`units`.*received 2.5"),
        ({"unfolds": 0}, "`unfolds`.*received 0"),
        ({"elapsed": -1.0}, "`elapsed`.*received -1"),
        ({"elapsed": float("nan")}, "`elapsed`.*received nan"),
        ({"elapsed": "last"}, "`elapsed`.*received 'last'"),
        ({"solver": "rk5"}, "solver 'rk5'.*euler, midpoint, rk4, semi_implicit.*mean 'rk4'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        LiquidCell(**{"units": 4, **arguments})


def test_elapsed_given_twice_is_refused(random):
    cell = built(LiquidCell(2, elapsed="last_feature"))
    with pytest.raises(ValueError, match="Give it in one way"):
        cell(random.random((1, 3)), [np.zeros((1, 2))], elapsed=1.0)


def test_elapsed_time_is_not_a_data_feature():
    with pytest.raises(ValueError, match="at least one input feature in addition to the elapsed"):
        LiquidCell(2, elapsed="last_feature").build((None, 1))
