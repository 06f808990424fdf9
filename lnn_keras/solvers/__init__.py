"""Solvers of dh/dt = drive(h) - decay(h) h.

A method (`FixedSteps` or `Dopri5`) advances a progress, whose first part is the state h, by its
`iterate`. `solve` returns the state at the end with gradients by backpropagation through all
steps; `adjoint.solve_with_snapshots` has the same gradients in memory that does not grow with the
number of steps.
"""

from lnn_keras.solvers import adjoint
from lnn_keras.solvers.adaptive import Dopri5, dopri5
from lnn_keras.solvers.fixed import FixedSteps, solve
from lnn_keras.solvers.steps import (
    EXPLICIT_ORDERS,
    STEP_FUNCTIONS,
    euler,
    midpoint,
    rk4,
    semi_implicit,
)

SOLVERS = (*STEP_FUNCTIONS, "dopri5")

__all__ = [
    "EXPLICIT_ORDERS",
    "SOLVERS",
    "STEP_FUNCTIONS",
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
