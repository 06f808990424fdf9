"""ODECell: what the cells share whose state follows a differential equation."""

import functools

import keras
from keras import ops

from lnn_keras import elapsed as elapsed_time
from lnn_keras.choices import require_at_least, require_choice
from lnn_keras.solvers import SOLVERS


class ODECell(keras.layers.Layer):
    """Base of the cells whose state h follows dh/dt = drive(x, h) - decay(x, h) h.

    One call solves the equation over the elapsed time, with the input x held,
    in `unfolds` steps of delta = elapsed / unfolds. A subclass gives the
    equation in `increments`; all have the weights

        z = x kernel + bias + h recurrent_kernel,    tau > 0 (stored as its logarithm).

    `call` is `project` followed by `advance`, so that a driver may project a
    whole sequence at once and scan `advance` alone, as `LiquidRNN` does.

    Args:
        units: Number of neurons.
        unfolds: Solver steps per call.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature": the last input feature is the elapsed time, not data.
        solver: "semi_implicit", "euler" or "rk4".
        kernel_initializer: Initializer of the input weights (features, units).
        recurrent_initializer: Initializer of the recurrent weights (units, units).
        bias_initializer: Initializer of the bias (units,).
        tau_initializer: Initializer of the time constants (units,), in the unit of elapsed.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: The state h (batch, units), or a list that holds it.
        elapsed: Optional, instead of the cell's own: a number, (batch,) or (batch, 1).

    Returns:
        The new state, and a list that holds it.

    Raises:
        ValueError: `units` or `unfolds` below 1, unknown `solver`, `elapsed` of another
            form, elapsed time given twice, an initializer that gives a tau of 0 or less.
    """

    def __init__(
        self,
        units: int,
        unfolds: int = 6,
        elapsed: float | str = 1.0,
        solver: str = "semi_implicit",
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        tau_initializer="ones",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = require_at_least(1, "units", units)
        self.unfolds = require_at_least(1, "unfolds", unfolds)
        self.elapsed = elapsed_time.validate(elapsed)
        self.solver = require_choice("solver", solver, SOLVERS)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.tau_initializer = keras.initializers.get(tau_initializer)
        self.state_size = self.units
        self.output_size = self.units

    def build(self, input_shape):
        features = input_shape[-1]
        if self.elapsed == elapsed_time.LAST_FEATURE:
            features -= 1
        if features < 1:
            raise ValueError(
                f"{type(self).__name__} {self.name!r} needs at least one input feature"
                f"{' beside the elapsed time' if input_shape[-1] else ''}; "
                f"received inputs of shape {tuple(input_shape)}."
            )
        units = self.units
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
        """What depends on the inputs alone: (..., features) -> (..., units)."""
        return ops.matmul(inputs, self.kernel) + self.bias

    def increments(self, projected, h, delta):
        """The equation over a time delta: (delta drive, delta decay), each (batch, units)."""
        raise TypeError(f"{type(self).__name__} must define `increments`, its equation.")

    def advance(self, projected, states, elapsed):
        """Solve over `elapsed` (a number or (batch, 1)): -> (output, [h]), each (batch, units)."""
        h = states[0] if isinstance(states, (list, tuple)) else states
        step = SOLVERS[self.solver]
        delta = elapsed / self.unfolds
        increments = functools.partial(self.increments, projected, delta=delta)
        for _ in range(self.unfolds):
            h = step(increments, h)
        return h, [h]

    def separate_elapsed(self, inputs, elapsed=None):
        """Return the data features of `inputs`, and the elapsed time to advance by.

        Args:
            inputs: Tensor (..., features), with elapsed time behind them or not.
            elapsed: Elapsed time given by the caller, or None for the cell's own.
        """
        if self.elapsed != elapsed_time.LAST_FEATURE:
            return inputs, self.elapsed if elapsed is None else elapsed
        if elapsed is not None:
            raise ValueError(
                f"{type(self).__name__} {self.name!r} takes elapsed time from the last feature; "
                "`elapsed` was given to the call as well. Give it in one way."
            )
        return elapsed_time.split(inputs)

    def call(self, inputs, states, elapsed=None, training=False):
        features, elapsed = self.separate_elapsed(inputs, elapsed)
        if len(getattr(elapsed, "shape", ())) == 1:
            elapsed = ops.expand_dims(elapsed, -1)
        return self.advance(self.project(features), states, elapsed)

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "units": self.units,
            "unfolds": self.unfolds,
            "elapsed": self.elapsed,
            "solver": self.solver,
            "kernel_initializer": serialize(self.kernel_initializer),
            "recurrent_initializer": serialize(self.recurrent_initializer),
            "bias_initializer": serialize(self.bias_initializer),
            "tau_initializer": serialize(self.tau_initializer),
        }
