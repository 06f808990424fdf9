"""Explicit Runge-Kutta steps of dh/dt = drive(h) - decay(h) h.

They take the arguments of `semi_implicit`; unlike it they diverge where the
step is long against 1 / decay.
"""


def _derivative(terms, h):
    drive, decay = terms(h)
    return drive - decay * h


def euler(terms, h, delta):
    """First order: h <- h + delta dh/dt."""
    return h + delta * _derivative(terms, h)


def rk4(terms, h, delta):
    """Fourth order: the classical Runge-Kutta method (Kutta, 1901)."""
    k1 = _derivative(terms, h)
    k2 = _derivative(terms, h + 0.5 * delta * k1)
    k3 = _derivative(terms, h + 0.5 * delta * k2)
    k4 = _derivative(terms, h + delta * k3)
    return h + (delta / 6) * (k1 + 2 * k2 + 2 * k3 + k4)
