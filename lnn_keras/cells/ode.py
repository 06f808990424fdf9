"""ODECell: the base class of cells that solve a differential equation."""

from collections.abc import Sequence
from typing import Any

from lnn_keras.argument_checks import require_at_least, require_choice, require_positive
from lnn_keras.autodiff.functional import pure, weights_of
from lnn_keras.cells.continuous_time import ContinuousTimeCell, first_state
from lnn_keras.solvers import SOLVERS, STEP_FUNCTIONS, Dopri5, FixedSteps, adjoint, solve
from lnn_keras.tensors import Tensor, ops


class ODECell(ContinuousTimeCell):
    """Base class of cells that follow dh/dt = drive(x, h) - decay(x, h) h, with state h.

    A call solves the equation over the elapsed time with the input x held constant, in
    `unfolds` steps of delta = elapsed / unfolds. "dopri5" chooses the number and the length of
    the steps by its tolerances, for each sample of the batch. A subclass implements the
    equation in `increments`.

    Args:
        units: Number of neurons.
        unfolds: Solver steps per call. The first step of "dopri5" is at most elapsed / unfolds.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
        solver: "semi_implicit", "euler", "midpoint", "rk4", or "dopri5" (adaptive).
        rtol: Relative tolerance of a step of "dopri5".
        atol: Absolute tolerance of a step of "dopri5".
        max_steps: Maximum number of steps of "dopri5" per call. The state becomes NaN if they
            do not suffice. Backpropagation on JAX always computes all of them.
        adjoint: Whether the gradient recomputes solver steps from a few checkpoints of the
            state instead of storing every step. It can be differentiated again, in the same memory.
        state_size: Size of the state; `units` by default.
        output_size: Size of the output; `units` by default.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: The state (batch, state_size), or a list that holds it.
        elapsed: Optional elapsed time that replaces the cell's own: a number, (batch,) or
            (batch, 1).
        training: Whether to apply dropout, with one mask per sequence.

    Returns:
        The output (batch, output_size), and the list of the new state.

    Raises:
        ValueError: `units`, `unfolds` or `max_steps` below 1, `rtol` or `atol` not above 0,
            unknown `solver`, invalid `elapsed`.
    """

    def __init__(
        self,
        units: int,
        unfolds: int = 6,
        elapsed: float | str = 1.0,
        solver: str = "semi_implicit",
        rtol: float = 1e-3,
        atol: float = 1e-6,
        max_steps: int = 256,
        adjoint: bool = False,
        state_size: int | None = None,
        output_size: int | None = None,
        **kwargs,
    ):
        units = require_at_least(1, "units", units)
        super().__init__(state_size or units, output_size or units, elapsed=elapsed, **kwargs)
        self.units = units
        self.unfolds = require_at_least(1, "unfolds", unfolds)
        self.solver = require_choice("solver", solver, SOLVERS)
        self.rtol = require_positive("rtol", rtol)
        self.atol = require_positive("atol", atol)
        self.max_steps = require_at_least(1, "max_steps", max_steps)
        self.adjoint = bool(adjoint)

    def increments(
        self, projected: Tensor, h: Tensor, delta: float | Tensor, *constants: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The equation over a time delta: (delta drive, delta decay), each (batch, size).

        Args:
            projected: Result of `project` (batch, size).
            h: The state (batch, state_size).
            delta: Length of the step, a number or (batch, 1).
            *constants: Result of `constants`.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `increments`.")

    def read_out(self, h: Tensor) -> Tensor:
        """The output as a function of the new state (batch, state_size)."""
        return h

    def advance(
        self,
        projected: Tensor,
        states: Any,
        elapsed: float | Tensor,
        constants: Sequence[Tensor] | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """Solve over `elapsed`: -> (output, [h])."""
        h = first_state(states)
        constants = self.constants() if constants is None else list(constants)
        if self.adjoint:
            h = self._solve_with_adjoint(projected, h, elapsed, constants)
        else:
            h = solve(self._method, self._equation(projected, constants), h, elapsed)
        return self.read_out(h), [h]

    def _equation(self, projected, constants):
        """`increments` as a function of h and delta only."""
        return lambda h, delta: self.increments(projected, h, delta, *constants)

    @property
    def _method(self):
        if self.solver == "dopri5":
            return Dopri5(self.rtol, self.atol, self.max_steps, least_steps=self.unfolds)
        return FixedSteps(STEP_FUNCTIONS[self.solver], self.unfolds)

    def _solve_with_adjoint(self, projected, h, elapsed, constants):
        """Solve with an equation that is a pure function of all tensors that need gradients."""
        increments = pure(self, self.increments)
        count = len(constants)

        def field(arguments):
            projected, *rest = arguments
            constants, weights = rest[:count], rest[count:]
            return lambda h, delta: increments(weights, projected, h, delta, *constants)

        elapsed = ops.zeros_like(h[:, :1]) + ops.cast(elapsed, h.dtype)
        arguments = [projected, *constants, *weights_of(self)]
        return adjoint.solve_with_snapshots(self._method, field, h, elapsed, arguments)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "unfolds": self.unfolds,
            "solver": self.solver,
            "rtol": self.rtol,
            "atol": self.atol,
            "max_steps": self.max_steps,
            "adjoint": self.adjoint,
        }
