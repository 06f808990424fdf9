"""ODECell and DenseODECell: what the cells share whose state follows a differential equation."""

import functools

import keras
from keras import ops

from lnn_keras.cells.continuous_time import ContinuousTimeCell, first_state
from lnn_keras.choices import require_at_least, require_choice
from lnn_keras.solvers import SOLVERS


class ODECell(ContinuousTimeCell):
    """Base of the cells whose state h follows dh/dt = drive(x, h) - decay(x, h) h.

    One call solves the equation over the elapsed time, with the input x held, in
    `unfolds` steps of delta = elapsed / unfolds. A subclass gives the equation in
    `increments`.

    Args:
        units: Number of neurons.
        unfolds: Solver steps per call.
        solver: "semi_implicit", "euler", "midpoint" or "rk4".

    Other args, call arguments and errors are those of `ContinuousTimeCell`, and

    Raises:
        ValueError: `units` or `unfolds` below 1, unknown `solver`.
    """

    def __init__(
        self,
        units: int,
        unfolds: int = 6,
        elapsed: float | str = 1.0,
        solver: str = "semi_implicit",
        output_size: int | None = None,
        **kwargs,
    ):
        units = require_at_least(1, "units", units)
        super().__init__(units, output_size or units, elapsed=elapsed, **kwargs)
        self.units = units
        self.unfolds = require_at_least(1, "unfolds", unfolds)
        self.solver = require_choice("solver", solver, SOLVERS)

    def increments(self, projected, h, delta):
        """The equation over a time delta: (delta drive, delta decay), each (batch, units)."""
        raise TypeError(f"{type(self).__name__} must define `increments`, its equation.")

    def read_out(self, h):
        """The output, of the new state (batch, units)."""
        return h

    def advance(self, projected, states, elapsed):
        """Solve over `elapsed` (a number or (batch, 1)): -> (output, [h])."""
        h = first_state(states)
        step = SOLVERS[self.solver]
        delta = elapsed / self.unfolds
        increments = functools.partial(self.increments, projected, delta=delta)
        for _ in range(self.unfolds):
            h = step(increments, h)
        return self.read_out(h), [h]

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "unfolds": self.unfolds,
            "solver": self.solver,
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
            name="recurrent_kernel", shape=(units, units), initializer=self.recurrent_initializer
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
