"""LiquidCell: the liquid time-constant cell."""

from typing import Any

import keras

from lnn_keras.cells.continuous_time import first_state, masked
from lnn_keras.cells.dense_ode import DenseODECell
from lnn_keras.cells.initializers import fan_in_or, initializer_or, uniform_or
from lnn_keras.initializers import Antisymmetric
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Constraint, Initializer, Regularizer


@keras.saving.register_keras_serializable(package="lnn_keras")
class LiquidCell(DenseODECell):
    """A liquid time-constant cell with one gate per neuron.

        f     = sigmoid(x kernel + h recurrent_kernel + bias)
        dh/dt = -(1/tau + f) h + f A

    with the fused semi-implicit step, `unfolds` times per call,

        h <- (h + delta f A) / (1 + delta (1/tau + f)),    delta = elapsed / unfolds.

    The gate f sets both the input and the effective time constant tau / (1 + tau f), which lies
    between tau / (1 + tau) and tau. Each state stays between min(0, A) and max(0, A) (theorems
    1 and 2 of the paper).

    The default initial values let gradients through the gate (docs/defaults.md): each gate has
    its own threshold within the data, since z, its argument, has the standard deviation 4 for
    inputs of variance 1, and the biases lie between -7 and -3. The recurrent kernel is
    antisymmetric, so the recurrence rotates the state, where a random one would also excite single
    neurons. A is positive, since a sign of A is equivalent to signs of `recurrent_kernel` and of a
    readout. Choose the unit of `elapsed` such that samples are about 0.1 to 1 apart, or give `tau`.

    Args:
        units: Number of neurons.
        use_bias: Whether the argument of the gate has a bias.
        kernel_initializer: Initializer of `kernel` (features, units); by default uniform with
            the variance 16 / features.
        recurrent_initializer: Initializer of `recurrent_kernel` (units, units); by default
            `lnn_keras.initializers.Antisymmetric` with the gain 4.
        bias_initializer: Initializer of `bias` (units,); by default uniform in [-7, -3].
        tau_initializer: Initializer of the time constants `tau` (units,), in the unit of
            `elapsed`; by default uniform in [0.15, 0.5].
        reversal_initializer: Initializer of the reversal potentials A (units,); by default 8.
        kernel_regularizer: Regularizer of `kernel`.
        recurrent_regularizer: Regularizer of `recurrent_kernel`.
        bias_regularizer: Regularizer of `bias`.
        kernel_constraint: Constraint of `kernel`.
        recurrent_constraint: Constraint of `recurrent_kernel`.
        bias_constraint: Constraint of `bias`.
        dropout: Fraction of the input features to drop, in [0, 1).
        recurrent_dropout: Fraction of the state to drop where it is multiplied by
            `recurrent_kernel`, in [0, 1).
        seed: Random seed of the dropout masks.
        unfolds: Solver steps per call. The first step of "dopri5" is at most elapsed / unfolds.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
        solver: "semi_implicit", "euler", "midpoint", "rk4", or "dopri5" (adaptive).
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
        ValueError: `units`, `unfolds` or `max_steps` below 1, `rtol` or `atol` not above 0,
            unknown `solver`, invalid `elapsed`, a dropout rate not in [0, 1), or an initial
            `tau` that is not above 0.

    Example:

    ```python
    layer = keras.layers.RNN(lnn_keras.LiquidCell(32), return_sequences=True)
    ```

    Reference: Hasani et al., Liquid Time-constant Networks, AAAI 2021, eq. 1-3.
    """

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        kernel_initializer: Initializer | None = None,
        recurrent_initializer: Initializer | None = None,
        bias_initializer: Initializer | None = None,
        tau_initializer: Initializer | None = None,
        reversal_initializer: Initializer | None = None,
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        unfolds: int = 6,
        elapsed: float | str = 1.0,
        solver: str = "semi_implicit",
        rtol: float = 1e-3,
        atol: float = 1e-6,
        max_steps: int = 256,
        adjoint: bool = False,
        **kwargs,
    ):
        super().__init__(
            units,
            use_bias=use_bias,
            kernel_initializer=fan_in_or(kernel_initializer, 4.0),
            recurrent_initializer=(
                Antisymmetric(gain=4.0) if recurrent_initializer is None else recurrent_initializer
            ),
            bias_initializer=uniform_or(bias_initializer, -7.0, -3.0),
            tau_initializer=uniform_or(tau_initializer, 0.15, 0.5),
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            unfolds=unfolds,
            elapsed=elapsed,
            solver=solver,
            rtol=rtol,
            atol=atol,
            max_steps=max_steps,
            adjoint=adjoint,
            **kwargs,
        )
        self.reversal_initializer: Any = initializer_or(reversal_initializer, "Constant", value=8.0)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.reversal = self.add_weight(
            name="reversal", shape=(self.units,), initializer=self.reversal_initializer
        )

    def increments(
        self,
        projected: Tensor,
        h: Tensor,
        delta: float | Tensor,
        *constants: Tensor,
    ) -> tuple[Tensor, Tensor]:
        leak, *mask = constants
        f = self._gate(projected, masked(h, *mask))
        return f * (delta * self.reversal), delta * leak + delta * f

    def _gate(self, projected, h):
        return ops.sigmoid(projected + ops.matmul(h, self.recurrent_kernel))

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """As of every ODE cell, with time_constant = tau / (1 + tau f); and "gate", f."""
        gate = self._gate(self.project(features), first_state(states))
        return {**super().quantities(features, states, elapsed), "gate": gate}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "reversal_initializer": keras.initializers.serialize(self.reversal_initializer),
        }
