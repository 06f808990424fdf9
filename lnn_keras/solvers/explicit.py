"""Explicit Runge-Kutta steps of dh/dt = drive(h) - decay(h) h.

They take the arguments of `semi_implicit`; unlike it they diverge where the
step is long against 1 / decay.
"""


def _change(increments, h):
    """delta dh/dt."""
    gain, loss = increments(h)
    return gain - loss * h


def euler(increments, h):
    """First order: h <- h + delta dh/dt."""
    return h + _change(increments, h)


def midpoint(increments, h):
    """Second order: Euler with the derivative at the middle of an Euler step."""
    return h + _change(increments, h + 0.5 * _change(increments, h))


def rk4(increments, h):
    """Fourth order: the classical Runge-Kutta method (Kutta, 1901)."""
    k1 = _change(increments, h)
    k2 = _change(increments, h + 0.5 * k1)
    k3 = _change(increments, h + 0.5 * k2)
    k4 = _change(increments, h + k3)
    return h + (k1 + 2 * k2 + 2 * k3 + k4) / 6
