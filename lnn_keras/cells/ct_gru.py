"""CTGRUCell: a gated recurrent unit whose gates choose time scales."""

import keras
import numpy as np
from keras import ops

from lnn_keras.argument_checks import require_at_least
from lnn_keras.cells.continuous_time import ContinuousTimeCell, first_state


@keras.saving.register_keras_serializable(package="lnn_keras")
class CTGRUCell(ContinuousTimeCell):
    """Each unit keeps traces that decay at fixed time scales; gates choose among them.

        trace_i <- trace_i exp(-elapsed / tau_i),          h = sum_i trace_i
        r_i = softmax_i(-(ln tau_r - ln tau_i)^2),         ln tau_r = x W_r + h U_r + b_r
        q   = tanh(x W_q + (sum_i r_i trace_i) U_q + b_q)
        s_i = softmax_i(-(ln tau_s - ln tau_i)^2),         ln tau_s = x W_s + h U_s + b_s
        trace_i <- (1 - s_i) trace_i + s_i q,              output = sum_i trace_i

    The time scales are tau_i = shortest 10^(i/2). The traces decay over the time
    since the step before, then take in this step's event; elapsed = 0 decays nothing.

    Args:
        units: Number of neurons.
        scales: Number of time scales of each.
        shortest: The shortest of them, in the unit of elapsed.

    Other args, call arguments and errors are those of `ContinuousTimeCell`, and

    Raises:
        ValueError: `units` or `scales` below 1, `shortest` not above 0.

    Reference: Mozer, Kazakov and Lindsey, Discrete-Event Continuous-Time Recurrent Nets, 2017.
    """

    def __init__(self, units: int, scales: int = 5, shortest: float = 0.3, **kwargs):
        units = require_at_least(1, "units", units)
        scales = require_at_least(1, "scales", scales)
        if not shortest > 0:
            raise ValueError(f"`shortest` must be above 0; received {shortest!r}.")
        super().__init__(units * scales, units, **kwargs)
        self.units = units
        self.scales = scales
        self.shortest = float(shortest)

    def build(self, input_shape):
        features, units = self.features_of(input_shape), self.units
        # Side by side: the time scale to read, the one to write, the event.
        self.kernel = self.add_weight(
            name="kernel", shape=(features, 3 * units), initializer="glorot_uniform"
        )
        self.scale_kernel = self.add_weight(
            name="scale_kernel", shape=(units, 2 * units), initializer="orthogonal"
        )
        self.event_kernel = self.add_weight(
            name="event_kernel", shape=(units, units), initializer="orthogonal"
        )
        self.bias = self.add_weight(name="bias", shape=(3 * units,), initializer="zeros")
        self.built = True

    @property
    def tau(self) -> np.ndarray:
        """The time scales (scales,)."""
        return self.shortest * 10 ** (np.arange(self.scales) / 2)

    def project(self, inputs):
        """The input's part of gates and event: (..., features) -> (..., 3 units)."""
        return ops.matmul(inputs, self.kernel) + self.bias

    def advance(self, projected, states, elapsed):
        """Decay over `elapsed` (a number or (batch, 1)), then take in the event."""
        traces = ops.reshape(first_state(states), (-1, self.units, self.scales))
        rate = ops.cast(1 / self.tau, traces.dtype)
        if hasattr(elapsed, "shape"):
            elapsed = ops.expand_dims(elapsed, -1)
        traces = traces * ops.exp(-elapsed * rate)
        h = ops.sum(traces, axis=-1)
        scale = projected[..., : 2 * self.units] + ops.matmul(h, self.scale_kernel)
        read, write = (self._choose(part) for part in ops.split(scale, 2, axis=-1))
        remembered = ops.matmul(ops.sum(read * traces, axis=-1), self.event_kernel)
        event = ops.tanh(projected[..., 2 * self.units :] + remembered)
        traces = (1 - write) * traces + write * ops.expand_dims(event, -1)
        state = ops.reshape(traces, (-1, self.units * self.scales))
        return ops.sum(traces, axis=-1), [state]

    def _choose(self, log_tau):
        """Shares of the time scales (batch, units, scales), the nearest having most."""
        near = ops.cast(np.log(self.tau), log_tau.dtype)
        return ops.softmax(-ops.square(ops.expand_dims(log_tau, -1) - near), axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "scales": self.scales,
            "shortest": self.shortest,
        }
