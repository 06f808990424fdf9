"""DenseODECell: the base class of ODE cells whose neurons are fully connected."""

from typing import Any

import keras

from lnn_keras.cells.dense import DenseCell, dense
from lnn_keras.cells.initializers import LogInitializer
from lnn_keras.cells.ode import ODECell
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Constraint, Initializer, Regularizer


class DenseODECell(DenseCell, ODECell):
    """Base class of ODE cells whose neurons are fully connected, with the weights

        z = x kernel + bias + h recurrent_kernel,    tau > 0 (stored as its logarithm).

    Args:
        units: Number of neurons.
        use_bias: Whether z has a bias.
        kernel_initializer: Initializer of `kernel` (features, units).
        recurrent_initializer: Initializer of `recurrent_kernel` (state_size, units).
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
            unknown `solver`, invalid `elapsed`, a dropout rate not in [0, 1), or an initial
            `tau` that is not above 0.
    """

    def __init__(
        self,
        units: int,
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
        state_size: int | None = None,
        output_size: int | None = None,
        **kwargs,
    ):
        super().__init__(
            units,
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
            unfolds=unfolds,
            elapsed=elapsed,
            solver=solver,
            rtol=rtol,
            atol=atol,
            max_steps=max_steps,
            adjoint=adjoint,
            state_size=state_size,
            output_size=output_size,
            **kwargs,
        )
        self.tau_initializer: Any = keras.initializers.get(tau_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features, units = self.features_of(input_shape), self.units
        self.kernel = self.add_kernel("kernel", features, units)
        self.recurrent_kernel = self.add_recurrent_kernel(
            "recurrent_kernel", self.state_size, units
        )
        self.bias = self.add_bias("bias", units)
        self.log_tau = self.add_weight(
            name="log_tau",
            shape=(units,),
            initializer=LogInitializer("tau_initializer", self.tau_initializer),
        )
        self.built = True

    @property
    def tau(self) -> Tensor:
        """The time constants (units,), above 0."""
        return ops.exp(self.log_tau)

    def constants(
        self, elapsed: float | None = None, recurrent_mask: Tensor | None = None
    ) -> list[Tensor]:
        """The leak 1 / tau, and the dropout mask if there is one: arguments of `increments`."""
        return [ops.exp(-self.log_tau), *super().constants(elapsed, recurrent_mask)]

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """x kernel + bias: (..., features) -> (..., units)."""
        return dense(inputs, self.kernel, self.bias)

    def fastest_rate(self) -> Tensor:
        """1 / tau + 1, since gates are at most 1."""
        return ops.exp(-self.log_tau) + 1

    def get_config(self) -> dict[str, Any]:
        tau_initializer = keras.initializers.serialize(self.tau_initializer)
        return {**super().get_config(), "tau_initializer": tau_initializer}
