"""ODECell and DenseODECell: what the cells share whose state follows a differential equation."""

import functools

import keras
from keras import ops

from lnn_keras.argument_checks import require_at_least, require_choice, require_positive
from lnn_keras.autodiff.functional import pure, weights_of
from lnn_keras.cells.continuous_time import ContinuousTimeCell, first_state
from lnn_keras.solvers import SOLVERS, STEP_FUNCTIONS, Dopri5, FixedSteps, adjoint, solve


class ODECell(ContinuousTimeCell):
    """Base of the cells whose state h follows dh/dt = drive(x, h) - decay(x, h) h.

    One call solves the equation over the elapsed time, with the input x held, in
    `unfolds` steps of delta = elapsed / unfolds; with "dopri5" in as many as the
    tolerances ask, of each sample's own length. A subclass gives the equation in
    `increments`.

    Args:
        units: Number of neurons.
        unfolds: Solver steps per call; with "dopri5" the first is no longer than elapsed / unfolds.
        solver: "semi_implicit", "euler", "midpoint", "rk4", or "dopri5" (adaptive).
        rtol: Relative tolerance of a step of "dopri5".
        atol: Absolute tolerance of a step of "dopri5".
        max_steps: Steps that "dopri5" tries at most per call. Where they do not suffice the
            state becomes NaN. Backpropagation on JAX always computes all of them.
        adjoint: Whether to keep a few snapshots of the state for the gradient, and compute
            what lies between them again, instead of keeping every step.
        state_size: Size of the state; `units` by default.

    Other args, call arguments and errors are those of `ContinuousTimeCell`, and

    Raises:
        ValueError: `units`, `unfolds` or `max_steps` below 1, `rtol` or `atol` not above 0,
            unknown `solver`.
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

    def increments(self, projected, h, delta, *constants):
        """The equation over a time delta: (delta drive, delta decay), each (batch, units)."""
        raise TypeError(f"{type(self).__name__} must define `increments`, its equation.")

    def read_out(self, h):
        """The output, of the new state (batch, units)."""
        return h

    def advance(self, projected, states, elapsed, constants=None):
        """Solve over `elapsed` (a number or (batch, 1)): -> (output, [h])."""
        h = first_state(states)
        if self.adjoint:
            h = self._solve_with_adjoint(projected, h, elapsed)
        else:
            increments = functools.partial(self._increments, projected, constants)
            h = solve(self._method, increments, h, elapsed)
        return self.read_out(h), [h]

    def _increments(self, projected, constants, h, delta):
        constants = self.constants() if constants is None else constants
        return self.increments(projected, h, delta, *constants)

    @property
    def _method(self):
        if self.solver == "dopri5":
            return Dopri5(self.rtol, self.atol, self.max_steps, least_steps=self.unfolds)
        return FixedSteps(STEP_FUNCTIONS[self.solver], self.unfolds)

    def _solve_with_adjoint(self, projected, h, elapsed):
        equation = pure(self, self._increments)

        def field(arguments):
            projected, *weights = arguments
            return functools.partial(equation, weights, projected, None)

        elapsed = ops.zeros_like(h[:, :1]) + ops.cast(elapsed, h.dtype)
        return adjoint.solve_with_snapshots(
            self._method, field, h, elapsed, [projected, *weights_of(self)]
        )

    def get_config(self):
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


class DenseODECell(ODECell):
    """Base of the ODE cells in which every neuron sees every other, with the weights

        z = x kernel + bias + h recurrent_kernel,    tau > 0 (stored as its logarithm).

    Args:
        units: Number of neurons.
        kernel_initializer: Initializer of the input weights (features, units).
        recurrent_initializer: Initializer of the recurrent weights (units, units).
        bias_initializer: Initializer of the bias (units,).
        tau_initializer: Initializer of the time constants (units,), in the unit of elapsed.

    Other args, call arguments and errors are those of `ODECell`, and

    Raises:
        ValueError: An initializer that gives a tau of 0 or less.
    """

    def __init__(
        self,
        units: int,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        tau_initializer="ones",
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.tau_initializer = keras.initializers.get(tau_initializer)

    def build(self, input_shape):
        features, units = self.features_of(input_shape), self.units
        self.kernel = self.add_weight(
            name="kernel", shape=(features, units), initializer=self.kernel_initializer
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(self.state_size, units),
            initializer=self.recurrent_initializer,
        )
        self.bias = self.add_weight(name="bias", shape=(units,), initializer=self.bias_initializer)
        self.log_tau = self.add_weight(
            name="log_tau", shape=(units,), initializer=self._initial_log_tau
        )
        self.built = True

    def _initial_log_tau(self, shape, dtype=None):
        tau = self.tau_initializer(shape, dtype=dtype)
        if not bool(ops.all(tau > 0)):
            raise ValueError(
                f"`tau_initializer` must give values above 0; received {self.tau_initializer!r}, "
                f"whose smallest value is {float(ops.min(tau)):g}."
            )
        return ops.log(tau)

    @property
    def tau(self):
        """The time constants (units,), above 0."""
        return ops.exp(self.log_tau)

    def constants(self, elapsed=None):
        """1 / tau, as `increments` takes it behind delta."""
        return [ops.exp(-self.log_tau)]

    def project(self, inputs):
        """x kernel + bias: (..., features) -> (..., units)."""
        return ops.matmul(inputs, self.kernel) + self.bias

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "kernel_initializer": serialize(self.kernel_initializer),
            "recurrent_initializer": serialize(self.recurrent_initializer),
            "bias_initializer": serialize(self.bias_initializer),
            "tau_initializer": serialize(self.tau_initializer),
        }
