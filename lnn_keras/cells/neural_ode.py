"""NODECell: a neural ordinary differential equation that is driven by the input."""

from typing import Any

import keras

from lnn_keras.cells.continuous_time import masked
from lnn_keras.cells.dense_ode import DenseODECell
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Activation, Constraint, Initializer, Regularizer


@keras.saving.register_keras_serializable(package="lnn_keras")
class NODECell(DenseODECell):
    """A neural ODE with a leak.

        g     = activation(x kernel + h recurrent_kernel + bias)
        dh/dt = -h/tau + g

    with `unfolds` solver steps per call. A step of "semi_implicit" is

        h <- (h + delta g) / (1 + delta/tau),    delta = elapsed / unfolds.

    Args:
        units: Number of neurons.
        activation: Activation of g. A bounded one keeps |h| <= tau.
        use_bias: Whether the argument of the activation has a bias.
        kernel_initializer: Initializer of `kernel` (features, units).
        recurrent_initializer: Initializer of `recurrent_kernel` (units, units).
        bias_initializer: Initializer of `bias` (units,).
        tau_initializer: Initializer of the time constants `tau` (units,), in the unit of
            `elapsed`.
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
    layer = lnn_keras.LiquidRNN(lnn_keras.NODECell(32, solver="rk4", unfolds=2))
    ```

    Reference: Chen et al., Neural Ordinary Differential Equations, NeurIPS 2018.
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        tau_initializer: Initializer = "ones",
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
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            tau_initializer=tau_initializer,
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
        self.activation: Any = keras.activations.get(activation)

    def increments(
        self,
        projected: Tensor,
        h: Tensor,
        delta: float | Tensor,
        *constants: Tensor,
    ) -> tuple[Tensor, Tensor]:
        leak, *mask = constants
        z = projected + ops.matmul(masked(h, *mask), self.recurrent_kernel)
        return delta * self.activation(z), delta * leak

    def fastest_rate(self) -> Tensor:
        """1 / tau, and the gain of the recurrent kernel."""
        return ops.exp(-self.log_tau) + ops.sum(ops.abs(self.recurrent_kernel), axis=0)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
        }
