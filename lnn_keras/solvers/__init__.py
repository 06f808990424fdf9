"""Solvers of dh/dt = drive(h) - decay(h) h: one pure step function each.

A step of length delta sees the equation as `increments`, a function from h to the
gain delta drive(h) and the loss delta decay(h): so a cell can multiply delta into
its constants, once.

`FixedSteps` repeats a step a number of times; `Dopri5` chooses their lengths. Both
iterate on a progress, whose first part is h, and both give gradients by
backpropagation or, through `adjoint`, in memory that does not grow with the steps.
"""

from lnn_keras.solvers import adjoint
from lnn_keras.solvers.adaptive import Dopri5, dopri5
from lnn_keras.solvers.explicit import euler, midpoint, rk4
from lnn_keras.solvers.fixed import STEPS, FixedSteps
from lnn_keras.solvers.fused import semi_implicit
from lnn_keras.solvers.solve import solve

SOLVERS = (*STEPS, "dopri5")

__all__ = [
    "SOLVERS",
    "STEPS",
    "Dopri5",
    "FixedSteps",
    "adjoint",
    "dopri5",
    "euler",
    "midpoint",
    "rk4",
    "semi_implicit",
    "solve",
]
