"""Step functions of dh/dt = drive(h) - decay(h) h.

Each takes a function `increments` and the state h at the start of the step, and returns the state
at its end. `increments` maps h to (delta drive, delta decay), with delta the length of the step:
so a cell can multiply delta into its constants once.
The explicit steps diverge where delta is long against 1 / decay; the semi-implicit one does not.
Where they would overflow, cells refuse the elapsed time (`ODECell.separate_elapsed`).
"""

from collections.abc import Callable

from lnn_keras.tensors import Tensor


def semi_implicit(increments: Callable, h: Tensor) -> Tensor:
    """First order, implicit in the decay term only: the fused step of liquid networks.

        h <- (h + delta drive) / (1 + delta decay)

    For decay >= 0 it is stable at any step size: with drive = f A and decay = 1/tau + f the
    result is a convex combination of h, A and 0.

    Reference: Hasani et al., Liquid Time-constant Networks, AAAI 2021, eq. 3.
    """
    gain, loss = increments(h)
    return (h + gain) / (1 + loss)


def euler(increments: Callable, h: Tensor) -> Tensor:
    """First order: h <- h + delta dh/dt."""
    return h + _change(increments, h)


def midpoint(increments: Callable, h: Tensor) -> Tensor:
    """Second order: Euler with the derivative at the middle of an Euler step."""
    return h + _change(increments, h + 0.5 * _change(increments, h))


def rk4(increments: Callable, h: Tensor) -> Tensor:
    """Fourth order: the classical Runge-Kutta method (Kutta, 1901)."""
    k1 = _change(increments, h)
    k2 = _change(increments, h + 0.5 * k1)
    k3 = _change(increments, h + 0.5 * k2)
    k4 = _change(increments, h + k3)
    return h + (k1 + 2 * k2 + 2 * k3 + k4) / 6


def _change(increments, h):
    """delta dh/dt."""
    gain, loss = increments(h)
    return gain - loss * h


STEP_FUNCTIONS = {
    "semi_implicit": semi_implicit,
    "euler": euler,
    "midpoint": midpoint,
    "rk4": rk4,
}
# The orders of the explicit steps, whose growth is a polynomial of this degree in delta.
EXPLICIT_ORDERS = {"euler": 1, "midpoint": 2, "rk4": 4}
