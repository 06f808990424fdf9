"""ODERNNCell: a neural ODE between observations and a gated update at observations."""

from collections.abc import Sequence
from typing import Any

import keras

from lnn_keras.argument_checks import require_at_least
from lnn_keras.cells.continuous_time import masked
from lnn_keras.cells.dense import DenseCell, dense
from lnn_keras.cells.initializers import clone_initializer
from lnn_keras.cells.ode import ODECell
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Constraint, Initializer, Regularizer


@keras.saving.register_keras_serializable(package="lnn_keras")
class ODERNNCell(DenseCell, ODECell):
    """The state follows an ODE between observations; each observation updates it with gates.

        dh/dt = tanh(h hidden_kernel + hidden_bias) out_kernel + out_bias,   over the elapsed time
        z, r  = sigmoid(x W + h U + b)
        h    <- z h + (1 - z) tanh(x W_h + (r h) U_h + b_h)

    Args:
        units: Number of neurons.
        hidden_units: Width of the hidden layer of dh/dt; `units` by default.
        unfolds: Solver steps per call. The first step of "dopri5" is at most elapsed / unfolds.
        solver: "semi_implicit", "euler", "midpoint", "rk4", or "dopri5" (adaptive). The equation
            has no decay term, so "semi_implicit" equals "euler". All but "dopri5" are explicit:
            with elapsed times far above 1, states and gradients grow with every step, until
            they overflow. Scale elapsed times to about 1.
        use_bias: Whether dh/dt, the gates and the candidate have biases.
        kernel_initializer: Initializer of `hidden_kernel` (units, hidden_units), `out_kernel`
            (hidden_units, units) and the input weights W (features, 3 units).
        recurrent_initializer: Initializer of the recurrent weights U (units, 2 units) and U_h
            (units, units).
        bias_initializer: Initializer of all biases.
        kernel_regularizer: Regularizer of `hidden_kernel`, `out_kernel` and W.
        recurrent_regularizer: Regularizer of U and U_h.
        bias_regularizer: Regularizer of all biases.
        kernel_constraint: Constraint of `hidden_kernel`, `out_kernel` and W.
        recurrent_constraint: Constraint of U and U_h.
        bias_constraint: Constraint of all biases.
        dropout: Fraction of the input features to drop, in [0, 1).
        recurrent_dropout: Fraction of the state to drop where it is multiplied by
            `hidden_kernel`, U or U_h, in [0, 1).
        seed: Random seed of the dropout masks.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
        rtol: Relative tolerance of a step of "dopri5".
        atol: Absolute tolerance of a step of "dopri5".
        max_steps: Maximum number of steps of "dopri5" per call. The state becomes NaN if they
            do not suffice. Backpropagation on JAX always computes all of them.
        adjoint: Whether the gradient recomputes solver steps from a few checkpoints of the
            state instead of storing every step.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: The state (batch, units), or a list that holds it.
        elapsed: Optional elapsed time that replaces the cell's own: a number, (batch,) or
            (batch, 1).
        training: Whether to apply dropout, with one mask per sequence.

    Returns:
        The output (batch, units), and the list of the new state.

    Raises:
        ValueError: `units`, `hidden_units`, `unfolds` or `max_steps` below 1, `rtol` or `atol`
            not above 0, unknown `solver`, invalid `elapsed`, a dropout rate not in [0, 1).

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.ODERNNCell(32))
    ```

    Reference: Rubanova, Chen and Duvenaud, Latent Ordinary Differential Equations for
    Irregularly-Sampled Time Series, NeurIPS 2019, algorithm 1.
    """

    def __init__(
        self,
        units: int,
        hidden_units: int | None = None,
        unfolds: int = 2,
        solver: str = "midpoint",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        elapsed: float | str = 1.0,
        rtol: float = 1e-3,
        atol: float = 1e-6,
        max_steps: int = 256,
        adjoint: bool = False,
        **kwargs,
    ):
        super().__init__(
            units,
            unfolds,
            solver=solver,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            elapsed=elapsed,
            rtol=rtol,
            atol=atol,
            max_steps=max_steps,
            adjoint=adjoint,
            **kwargs,
        )
        hidden_units = self.units if hidden_units is None else hidden_units
        self.hidden_units = require_at_least(1, "hidden_units", hidden_units)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features, units, hidden = self.features_of(input_shape), self.units, self.hidden_units
        self.hidden_kernel = self.add_kernel("hidden_kernel", units, hidden)
        self.hidden_bias = self.add_bias("hidden_bias", hidden)
        self.out_kernel = self.add_kernel(
            "out_kernel", hidden, units, initializer=clone_initializer(self.kernel_initializer)
        )
        self.out_bias = self.add_bias("out_bias", units)
        # Columns of kernel and bias: update gate, reset gate, candidate.
        self.kernel = self.add_kernel(
            "kernel", features, 3 * units, initializer=clone_initializer(self.kernel_initializer)
        )
        self.gate_kernel = self.add_recurrent_kernel("gate_kernel", units, 2 * units)
        self.candidate_kernel = self.add_recurrent_kernel(
            "candidate_kernel",
            units,
            units,
            initializer=clone_initializer(self.recurrent_initializer),
        )
        self.bias = self.add_bias("bias", 3 * units)
        self.built = True

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The input's part of gates and candidate: (..., features) -> (..., 3 units)."""
        return dense(inputs, self.kernel, self.bias)

    def increments(
        self,
        projected: Tensor,
        h: Tensor,
        delta: float | Tensor,
        *constants: Tensor,
    ) -> tuple[Tensor, Tensor]:
        hidden = dense(masked(h, *constants), self.hidden_kernel, self.hidden_bias)
        return delta * dense(ops.tanh(hidden), self.out_kernel, self.out_bias), 0.0

    def advance(
        self,
        projected: Tensor,
        states: Any,
        elapsed: float | Tensor,
        constants: Sequence[Tensor] | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """Solve over `elapsed`, then update with the observation: -> (output, [h])."""
        h, _ = super().advance(projected, states, elapsed, constants, training=training)
        update, _, candidate = self._gates(projected, masked(h, *(constants or ())))
        h = update * h + (1 - update) * candidate
        return h, [h]

    def _gates(self, projected, h):
        """The update gate, the reset gate, and the candidate."""
        gates = projected[..., : 2 * self.units] + ops.matmul(h, self.gate_kernel)
        update, reset = ops.split(ops.sigmoid(gates), 2, axis=-1)
        candidate = ops.matmul(reset * h, self.candidate_kernel)
        return update, reset, ops.tanh(projected[..., 2 * self.units :] + candidate)

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """ "derivative", dh/dt before the step; "update_gate", "reset_gate" and "candidate".

        There is no decay, so that the equation has no time constant. The gates are those of the
        observation, after the equation was solved over the elapsed time. With "dopri5" also
        "accepted_steps" and "rejected_steps".
        """
        found = super().quantities(features, states, elapsed)
        del found["time_constant"], found["equilibrium"]
        projected = self.project(features)
        h, _ = super().advance(projected, states, elapsed)
        update, reset, candidate = self._gates(projected, h)
        return {**found, "update_gate": update, "reset_gate": reset, "candidate": candidate}

    @property
    def _explicit_order(self):
        """As in the base class; without a decay, "semi_implicit" is explicit too."""
        return 1 if self.solver == "semi_implicit" else super()._explicit_order

    def fastest_rate(self) -> Tensor:
        """The gains of both layers of dh/dt."""
        gains = ops.sum(ops.abs(self.hidden_kernel), axis=0)
        return ops.matmul(gains, ops.abs(self.out_kernel))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden_units": self.hidden_units}
