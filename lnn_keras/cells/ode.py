"""ODECell: the base class of cells that solve a differential equation."""

import math
from collections.abc import Sequence
from typing import Any

from lnn_keras.argument_checks import require_at_least, require_choice, require_positive
from lnn_keras.autodiff.functional import pure, weights_of
from lnn_keras.cells.continuous_time import ContinuousTimeCell, first_state
from lnn_keras.elapsed import LONGEST
from lnn_keras.solvers import (
    EXPLICIT_ORDERS,
    SOLVERS,
    STEP_FUNCTIONS,
    Dopri5,
    FixedSteps,
    adjoint,
    solve,
)
from lnn_keras.tensors import Tensor, concrete_values, ops

# Logarithm of the largest growth of a state within a call: squares of it are finite float32.
LOG_GROWTH = math.log(1e18)


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
            unknown `solver`, invalid `elapsed`; on the call, an elapsed time over which an
            explicit solver ("euler", "midpoint", "rk4") overflows, where its value is known.
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

    def fastest_rate(self) -> Tensor:
        """Rates of change (units,) that bound how fast an explicit solver step can grow."""
        raise NotImplementedError(f"{type(self).__name__} does not bound its rates.")

    def separate_elapsed(
        self, inputs: Tensor, elapsed: float | Tensor | None = None
    ) -> tuple[Tensor, float | Tensor]:
        """As in the base class; also refuse times over which an explicit solver overflows.

        An explicit step multiplies the state by up to 1 + z + z^2 / 2! + ... up to its order, with
        z = delta times the fastest rate of the cell. Over `unfolds` steps this must stay below
        1e18, so that squares are finite. In a compiled graph, where the values are not known, the
        state then becomes infinite or NaN.

        Raises:
            ValueError: Also if the solver is explicit and the elapsed time too long for it.
        """
        inputs, elapsed = super().separate_elapsed(inputs, elapsed)
        if self._explicit_order and self.built:
            self._require_finite_growth(elapsed)
        return inputs, elapsed

    @property
    def _explicit_order(self):
        """The order of an explicit solver; 0 for other solvers."""
        return EXPLICIT_ORDERS.get(self.solver, 0)

    def _require_finite_growth(self, elapsed):
        times = concrete_values(elapsed)
        if times is None or not times.size:
            return
        try:
            rates = concrete_values(self.fastest_rate())
        except NotImplementedError:
            return
        if rates is None:
            return
        longest = min(float(times.max()), LONGEST)
        z = longest / self.unfolds * float(rates.max())
        order = self._explicit_order
        log_growth = self.unfolds * (order * math.log(max(z, 1)) - math.lgamma(order + 1))
        if log_growth > LOG_GROWTH:
            raise ValueError(
                f"The explicit solver {self.solver!r} overflows over an elapsed time of "
                f"{longest:g} in {self.unfolds} steps: each is {z:.3g} times the fastest time "
                f"constant of {self.name!r}. Use solver='dopri5', or 'semi_implicit' if the "
                "equation decays; more `unfolds`; or elapsed times in a longer unit."
            )

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

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """Quantities of the equation dh/dt = drive - decay h at the state h before the step.

        Args:
            features: Data features of this step (batch, features), without the elapsed time.
            states: The state (batch, state_size), or a list that holds it.
            elapsed: Elapsed time, a number or (batch, 1).

        Returns:
            "time_constant", 1 / decay; "equilibrium", drive / decay, the value that h approaches
            while drive and decay last; "derivative", dh/dt; each (batch, state_size). With
            "dopri5" also "accepted_steps" and "rejected_steps" (batch, 1) of the solver.
        """
        h, equation = first_state(states), self._equation(self.project(features), self.constants())
        drive, decay = equation(h, 1.0)
        decay = ops.zeros_like(drive) + decay
        found = {
            "time_constant": 1 / decay,
            "equilibrium": drive / decay,
            "derivative": drive - decay * h,
        }
        method = self._method
        if not isinstance(method, Dopri5):
            return found
        accepted, rejected = method.count_steps(equation, h, elapsed)
        return {**found, "accepted_steps": accepted, "rejected_steps": rejected}

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
