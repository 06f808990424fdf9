"""dopri5 meets its tolerance, for each sample of a batch at its own pace."""

import keras
import numpy as np
import pytest
from keras import ops

from lnn_keras import LiquidCell
from lnn_keras.solvers import STEPS, Dopri5, FixedSteps, solve

ELAPSED = np.array([[0.0], [0.5], [2.0], [10.0]])
tolerances = pytest.mark.parametrize("rtol", [1e-3, 1e-4, 1e-5])


def solved(terms, start, rtol, max_steps=5000):
    """The state after each elapsed time, and how often the equation was evaluated."""
    count = 0

    def increments(h, delta):
        nonlocal count
        count += 1
        drive, decay = terms(h)
        return delta * drive, delta * decay

    h = ops.convert_to_tensor(np.tile(np.asarray(start, "float32"), (len(ELAPSED), 1)))
    elapsed = ops.convert_to_tensor(ELAPSED.astype("float32"))
    h = solve(Dopri5(rtol, atol=0.01 * rtol, max_steps=max_steps), increments, h, elapsed)
    return ops.convert_to_numpy(h), count


def assert_within(rtol, found, exact):
    assert (np.abs(found - exact) <= 0.01 * rtol + rtol * np.abs(exact)).all()


@tolerances
def test_smooth_problem(rtol):
    """The logistic equation: h(t) = 1 / (1 + (1/h0 - 1) exp(-t))."""
    start = np.array([0.1, 0.7, 1.5])
    found, _ = solved(lambda h: (h, h), start, rtol)
    assert_within(rtol, found, 1 / (1 + (1 / start - 1) * np.exp(-ELAPSED)))


@tolerances
def test_stiff_problem(rtol):
    """Two decays a factor of 400 apart; a fixed step of this length would diverge."""
    drive, decay = np.array([70.0, 1.0], "float32"), np.array([200.0, 0.5], "float32")
    start, rest = np.array([2.0, -1.0]), drive / decay
    found, _ = solved(lambda h: (drive, decay), start, rtol)
    assert_within(rtol, found, rest + (start - rest) * np.exp(-decay * ELAPSED))


@pytest.mark.parametrize("mu", [1.0, 5.0])
@pytest.mark.parametrize("rtol", [1e-4, 1e-5])
def test_van_der_pol(mu, rtol):
    """Over one to two turns, against rk4 in 20,000 steps of double precision."""

    def terms(h, stack):
        return stack([h[:, 1], mu * (1 - h[:, 0] ** 2) * h[:, 1] - h[:, 0]], -1), 0.0

    def increments(h, delta):
        drive, decay = terms(h, np.stack)
        return delta * drive, delta * decay

    start = np.tile([2.0, 0.0], (len(ELAPSED), 1))
    exact = solve(FixedSteps(STEPS["rk4"], 20_000), increments, start, ELAPSED)
    found, _ = solved(lambda h: terms(h, ops.stack), start[0], rtol)
    # Small values lie on steep flanks, so the size of the whole turn is the measure.
    assert (np.abs(found - exact) <= 2 * rtol * np.abs(start).max()).all()


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="traced once, so not counted")
def test_it_takes_steps_where_they_are_needed():
    _, smooth = solved(lambda h: (0.1 * h, h), [1.0], 1e-4)
    _, stiff = solved(lambda h: (0.1 * h, 100 * h), [1.0], 1e-4)
    _, strict = solved(lambda h: (0.1 * h, h), [1.0], 1e-6)
    assert smooth < strict < stiff


def test_each_sample_of_a_batch_is_its_own(random):
    x = random.standard_normal((3, 4)).astype("float32")
    elapsed = np.array([[0.0], [0.3], [50.0]], "float32")
    h = random.standard_normal((3, 5)).astype("float32")
    cell = LiquidCell(5, solver="dopri5")
    together, _ = cell(x, [h], elapsed=elapsed)
    for i in range(3):
        part = slice(i, i + 1)
        alone, _ = cell(x[part], [h[part]], elapsed=elapsed[part])
        np.testing.assert_allclose(
            ops.convert_to_numpy(together)[part], ops.convert_to_numpy(alone), atol=1e-5
        )
    np.testing.assert_array_equal(ops.convert_to_numpy(together)[0], h[0])


def test_a_cell_of_tight_tolerance_is_exact(random):
    x, h = random.standard_normal((4, 3)), random.standard_normal((4, 5))
    exact = LiquidCell(5, solver="rk4", unfolds=512)
    adaptive = LiquidCell(5, solver="dopri5", rtol=1e-6)
    for cell in (exact, adaptive):
        cell.build((None, 3))
    adaptive.set_weights(exact.get_weights())
    expected, found = exact(x, [h], elapsed=3.0)[0], adaptive(x, [h], elapsed=3.0)[0]
    np.testing.assert_allclose(
        ops.convert_to_numpy(found), ops.convert_to_numpy(expected), atol=5e-6
    )


def test_too_few_steps_give_no_number():
    """A sample that does not reach its end is NaN; the others are right."""
    found, _ = solved(lambda h: (h, 1000 * h), [1.0], 1e-6, max_steps=40)
    assert np.isnan(found[-1]).all()
    assert np.isfinite(found[0]).all()


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
