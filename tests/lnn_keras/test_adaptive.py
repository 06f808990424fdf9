"""dopri5 meets its tolerance, with step lengths of its own for each sample of a batch."""

import functools

import keras
import numpy as np
import pytest
from gradients import compiled
from keras import ops

from lnn_keras import LiquidCell
from lnn_keras.solvers import Dopri5, FixedSteps, rk4, solve

ELAPSED = np.array([[0.0], [0.5], [2.0], [10.0]])
tolerances = pytest.mark.parametrize("rtol", [1e-3, 1e-4, 1e-5])


def solved(terms, start, rtol, max_steps=5000):
    """The state (elapsed times, size) after each elapsed time."""
    method = Dopri5(rtol, atol=0.01 * rtol, max_steps=max_steps)
    h = ops.convert_to_tensor(np.tile(np.asarray(start, "float32"), (len(ELAPSED), 1)))
    elapsed = ops.convert_to_tensor(ELAPSED.astype("float32"))
    solution = compiled(lambda h, elapsed: solve(method, increments_of(terms), h, elapsed))
    return ops.convert_to_numpy(solution(h, elapsed))


def increments_of(terms):
    """The function `increments` of an equation with (drive, decay) = terms(h)."""

    def increments(h, delta):
        drive, decay = terms(h)
        return delta * drive, delta * decay

    return increments


def assert_within(rtol, solution, exact):
    assert (np.abs(solution - exact) <= 0.01 * rtol + rtol * np.abs(exact)).all()


@tolerances
def test_smooth_problem(rtol):
    """The logistic equation: h(t) = 1 / (1 + (1/h0 - 1) exp(-t))."""
    start = np.array([0.1, 0.7, 1.5])
    solution = solved(lambda h: (h, h), start, rtol)
    assert_within(rtol, solution, 1 / (1 + (1 / start - 1) * np.exp(-ELAPSED)))


@tolerances
def test_stiff_problem(rtol):
    """Two decays a factor of 400 apart; a fixed step of this length would diverge."""
    drive, decay = np.array([70.0, 1.0], "float32"), np.array([200.0, 0.5], "float32")
    start, rest = np.array([2.0, -1.0]), drive / decay
    solution = solved(lambda h: (drive, decay), start, rtol)
    assert_within(rtol, solution, rest + (start - rest) * np.exp(-decay * ELAPSED))


def van_der_pol(h, mu, stack):
    return stack([h[:, 1], mu * (1 - h[:, 0] ** 2) * h[:, 1] - h[:, 0]], -1), 0.0


@functools.cache
def exact_van_der_pol(mu):
    """By rk4 in 4,000 steps of double precision, whose error is below 1e-6."""
    start = np.tile([2.0, 0.0], (len(ELAPSED), 1))
    increments = increments_of(lambda h: van_der_pol(h, mu, np.stack))
    return solve(FixedSteps(rk4, 4000), increments, start, ELAPSED)


@pytest.mark.parametrize("mu", [1.0, 5.0])
@pytest.mark.parametrize("rtol", [1e-4, 1e-5])
def test_van_der_pol(mu, rtol):
    """Over one to two periods."""
    solution = solved(lambda h: van_der_pol(h, mu, ops.stack), [2.0, 0.0], rtol)
    # Small values lie on steep flanks, so errors are relative to the amplitude, which is 2.
    assert (np.abs(solution - exact_van_der_pol(mu)) <= 2 * rtol * 2.0).all()


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="traced once, so not counted")
def test_stiff_equations_and_strict_tolerances_take_more_steps():
    def evaluations(terms, rtol):
        count = 0

        def counted(h):
            nonlocal count
            count += 1
            return terms(h)

        solve(Dopri5(rtol, 0.01 * rtol, 500), increments_of(counted), ops.ones((1, 1)), 1.0)
        return count

    smooth = evaluations(lambda h: (0.1 * h, h), 1e-4)
    stiff = evaluations(lambda h: (0.1 * h, 100 * h), 1e-4)
    strict = evaluations(lambda h: (0.1 * h, h), 1e-6)
    assert smooth < strict < stiff


def test_samples_of_a_batch_are_independent(random):
    x = random.standard_normal((3, 4)).astype("float32")
    elapsed = np.array([[0.0], [0.3], [50.0]], "float32")
    h = random.standard_normal((3, 5)).astype("float32")
    cell = LiquidCell(5, solver="dopri5")
    together, _ = cell(x, [h], elapsed=elapsed)
    for i in range(3):
        part = slice(i, i + 1)
        single, _ = cell(x[part], [h[part]], elapsed=elapsed[part])
        np.testing.assert_allclose(
            ops.convert_to_numpy(together)[part], ops.convert_to_numpy(single), atol=1e-5
        )
    np.testing.assert_array_equal(ops.convert_to_numpy(together)[0], h[0])


def test_a_cell_with_a_strict_tolerance_is_exact(random):
    x, h = random.standard_normal((4, 3)), random.standard_normal((4, 5))
    exact = LiquidCell(5, solver="rk4", unfolds=64)
    adaptive = LiquidCell(5, solver="dopri5", rtol=1e-6)
    for cell in (exact, adaptive):
        cell.build((None, 3))
    adaptive.set_weights(exact.get_weights())
    expected, output = exact(x, [h], elapsed=3.0)[0], adaptive(x, [h], elapsed=3.0)[0]
    np.testing.assert_allclose(
        ops.convert_to_numpy(output), ops.convert_to_numpy(expected), atol=5e-6
    )


def test_too_few_steps_give_nan():
    """A sample that does not reach its end is NaN; the others are finite."""
    solution = solved(lambda h: (h, 1000 * h), [1.0], 1e-6, max_steps=40)
    assert np.isnan(solution[-1]).all()
    assert np.isfinite(solution[0]).all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"rtol": 0}, "`rtol` must be a finite number above 0; received 0"),
        ({"atol": float("nan")}, "`atol` must be a finite number above 0; received nan"),
        ({"max_steps": 0}, "`max_steps` must be an integer of at least 1; received 0"),
    ],
)
def test_bad_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        LiquidCell(4, solver="dopri5", **arguments)
