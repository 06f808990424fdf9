"""Solvers of dh/dt = drive(h) - decay(h) h: one pure step function each.

A step of length delta sees the equation as `increments`, a function from h to the
gain delta drive(h) and the loss delta decay(h): so a cell can multiply delta into
its constants, once.
"""

from lnn_keras.solvers.explicit import euler, midpoint, rk4
from lnn_keras.solvers.fused import semi_implicit

SOLVERS = {"semi_implicit": semi_implicit, "euler": euler, "midpoint": midpoint, "rk4": rk4}

__all__ = ["SOLVERS", "euler", "midpoint", "rk4", "semi_implicit"]
