"""CTGRUCell: a gated recurrent unit with gates that select time scales."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from lnn_keras.argument_checks import require_at_least
from lnn_keras.cells.continuous_time import first_state, masked
from lnn_keras.cells.dense import DenseCell, dense
from lnn_keras.cells.initializers import clone_initializer
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Constraint, Initializer, Regularizer


@keras.saving.register_keras_serializable(package="lnn_keras")
class CTGRUCell(DenseCell):
    """Each unit keeps traces that decay at fixed time scales; gates select among them.

        trace_i <- trace_i exp(-elapsed / tau_i),          h = sum_i trace_i
        r_i = softmax_i(-(ln tau_r - ln tau_i)^2),         ln tau_r = x W_r + h U_r + b_r
        q   = tanh(x W_q + (sum_i r_i trace_i) U_q + b_q)
        s_i = softmax_i(-(ln tau_s - ln tau_i)^2),         ln tau_s = x W_s + h U_s + b_s
        trace_i <- (1 - s_i) trace_i + s_i q,              output = sum_i trace_i

    The time scales are tau_i = shortest 10^(i/2). The traces decay over the time since the
    previous step and are then updated with the event q of this step; at elapsed = 0 they do not
    decay.

    Args:
        units: Number of neurons.
        scales: Number of time scales of each neuron.
        shortest: The shortest time scale, in the unit of `elapsed`.
        use_bias: Whether the time scales and the event have biases b.
        kernel_initializer: Initializer of the input weights W (features, 3 units).
        recurrent_initializer: Initializer of the recurrent weights U, of the time scales
            (units, 2 units) and of the event (units, units).
        bias_initializer: Initializer of the biases b (3 units,).
        kernel_regularizer: Regularizer of W.
        recurrent_regularizer: Regularizer of U.
        bias_regularizer: Regularizer of b.
        kernel_constraint: Constraint of W.
        recurrent_constraint: Constraint of U.
        bias_constraint: Constraint of b.
        dropout: Fraction of the input features to drop, in [0, 1).
        recurrent_dropout: Fraction of the units to drop where they are multiplied by U, in
            [0, 1).
        seed: Random seed of the dropout masks.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: The traces (batch, units * scales), or a list that holds them.
        elapsed: Optional elapsed time that replaces the cell's own: a number, (batch,) or
            (batch, 1).
        training: Whether to apply dropout, with one mask per sequence.

    Returns:
        The output (batch, units), and the list of the new traces.

    Raises:
        ValueError: `units` or `scales` below 1, `shortest` not above 0, invalid `elapsed`, a
            dropout rate not in [0, 1).

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.CTGRUCell(32))
    ```

    Reference: Mozer, Kazakov and Lindsey, Discrete-Event Continuous-Time Recurrent Nets, 2017.
    """

    def __init__(
        self,
        units: int,
        scales: int = 5,
        shortest: float = 0.3,
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
        **kwargs,
    ):
        units = require_at_least(1, "units", units)
        scales = require_at_least(1, "scales", scales)
        if not shortest > 0:
            raise ValueError(f"`shortest` must be above 0; received {shortest!r}.")
        super().__init__(
            units * scales,
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
            elapsed=elapsed,
            **kwargs,
        )
        self.units = units
        self.scales = scales
        self.shortest = float(shortest)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features, units = self.features_of(input_shape), self.units
        # Columns of kernel and bias: the scale to read, the scale to write, the event.
        self.kernel = self.add_kernel("kernel", features, 3 * units)
        self.scale_kernel = self.add_recurrent_kernel("scale_kernel", units, 2 * units)
        self.event_kernel = self.add_recurrent_kernel(
            "event_kernel", units, units, initializer=clone_initializer(self.recurrent_initializer)
        )
        self.bias = self.add_bias("bias", 3 * units)
        self.built = True

    @property
    def tau(self) -> np.ndarray:
        """The time scales (scales,)."""
        return self.shortest * 10 ** (np.arange(self.scales) / 2)

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The input's part of time scales and event: (..., features) -> (..., 3 units)."""
        return dense(inputs, self.kernel, self.bias)

    def advance(
        self,
        projected: Tensor,
        states: Any,
        elapsed: float | Tensor,
        constants: Sequence[Tensor] | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """Decay over `elapsed`, then update with the event: -> (output, [traces])."""
        traces = self._decayed(first_state(states), elapsed)
        _, write, event = self._gates_and_event(projected, traces, *(constants or ()))
        traces = (1 - write) * traces + write * ops.expand_dims(event, -1)
        state = ops.reshape(traces, (-1, self.units * self.scales))
        return ops.sum(traces, axis=-1), [state]

    def _decayed(self, state, elapsed):
        """The traces (batch, units, scales) of a state after an elapsed time."""
        traces = ops.reshape(state, (-1, self.units, self.scales))
        rate = ops.cast(1 / self.tau, traces.dtype)
        if hasattr(elapsed, "shape"):
            elapsed = ops.expand_dims(elapsed, -1)
        return traces * ops.exp(-elapsed * rate)

    def _gates_and_event(self, projected, traces, mask=None):
        """The gates r and s (batch, units, scales), and the event q (batch, units)."""
        h = masked(ops.sum(traces, axis=-1), mask)
        log_tau = projected[..., : 2 * self.units] + ops.matmul(h, self.scale_kernel)
        read, write = (self._scale_weights(part) for part in ops.split(log_tau, 2, axis=-1))
        memory = masked(ops.sum(read * traces, axis=-1), mask)
        event = projected[..., 2 * self.units :] + ops.matmul(memory, self.event_kernel)
        return read, write, ops.tanh(event)

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """ "read_gate", r, and "write_gate", s (batch, units, scales); "event", q; "time_constant".

        The time constant (batch, units) is the geometric mean of the time scales tau_i, weighted
        by s_i: the scale at which the event of this step is stored.
        """
        traces = self._decayed(first_state(states), elapsed)
        read, write, event = self._gates_and_event(self.project(features), traces)
        log_tau = ops.cast(np.log(self.tau), write.dtype)
        time_constant = ops.exp(ops.sum(write * log_tau, axis=-1))
        return {
            "time_constant": time_constant,
            "read_gate": read,
            "write_gate": write,
            "event": event,
        }

    def _scale_weights(self, log_tau):
        """Softmax weights of the time scales (batch, units, scales), largest at the nearest."""
        # The softmax of -(x - a)^2 is that of 2 x a - a^2, in which no large numbers cancel.
        scales = np.log(self.tau)
        slopes, offsets = (ops.cast(v, log_tau.dtype) for v in (2 * scales, -(scales**2)))
        return ops.softmax(ops.expand_dims(log_tau, -1) * slopes + offsets, axis=-1)

    def get_recurrent_dropout_mask(self, step_input: Tensor) -> Tensor | None:
        """The mask of the units (batch, units), which sum the traces that the state holds."""
        return super().get_recurrent_dropout_mask(step_input[..., : self.units])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "scales": self.scales,
            "shortest": self.shortest,
        }
