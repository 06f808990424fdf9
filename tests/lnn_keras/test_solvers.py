"""The convergence order of each step function, measured on equations with known solutions."""

import numpy as np
import pytest

from lnn_keras.solvers import STEP_FUNCTIONS

ORDERS = {"semi_implicit": 1, "euler": 1, "midpoint": 2, "rk4": 4}


def solve(solver, terms, h, duration, steps):
    delta = duration / steps

    def increments(h):
        drive, decay = terms(h)
        return delta * drive, delta * decay

    for _ in range(steps):
        h = STEP_FUNCTIONS[solver](increments, h)
    return h


def measured_order(solver, terms, start, duration, exact):
    steps = np.array([16, 32, 64, 128])
    errors = [np.abs(solve(solver, terms, start, duration, n) - exact).max() for n in steps]
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


@pytest.mark.parametrize("solver", STEP_FUNCTIONS)
def test_order_on_a_linear_equation(solver):
    # dh/dt = drive - decay h: h(t) = drive/decay + (h0 - drive/decay) exp(-decay t)
    drive, decay, start = np.array([0.7, -2.0]), np.array([1.3, 0.4]), np.array([2.0, 1.0])
    rest = drive / decay
    exact = rest + (start - rest) * np.exp(-decay * 2.0)
    order = measured_order(solver, lambda h: (drive, decay), start, 2.0, exact)
    assert abs(order - ORDERS[solver]) < 0.2


@pytest.mark.parametrize("solver", STEP_FUNCTIONS)
def test_order_where_drive_and_decay_depend_on_the_state(solver):
    # dh/dt = h - h h, the logistic equation: h(t) = 1 / (1 + (1/h0 - 1) exp(-t))
    start = np.array([0.1])
    exact = 1 / (1 + (1 / start - 1) * np.exp(-3.0))
    order = measured_order(solver, lambda h: (h, h), start, 3.0, exact)
    assert abs(order - ORDERS[solver]) < 0.2


@pytest.mark.parametrize("solver", STEP_FUNCTIONS)
def test_an_elapsed_time_of_0_keeps_the_state(solver):
    start = np.array([0.3, -4.0])
    assert (solve(solver, lambda h: (np.sin(h), 1 + h * h), start, 0.0, 3) == start).all()


def test_semi_implicit_is_stable_where_euler_is_not():
    terms = lambda h: (np.array([1.0]), np.array([50.0]))  # noqa: E731
    start = np.array([1.0])
    assert abs(solve("semi_implicit", terms, start, 10.0, 100)[0] - 0.02) < 1e-6
    assert abs(solve("euler", terms, start, 10.0, 100)[0]) > 1e6
