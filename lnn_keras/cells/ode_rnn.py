"""ODERNNCell: a neural ODE between observations, a gated unit at them."""

import keras
from keras import ops

from lnn_keras.cells.ode import ODECell


@keras.saving.register_keras_serializable(package="lnn_keras")
class ODERNNCell(ODECell):
    """The state moves by itself between observations, and jumps at each of them.

        dh/dt = tanh(h hidden_kernel + hidden_bias) out_kernel + out_bias,   over the elapsed time
        z, r  = sigmoid(x W + h U + b)
        h    <- z h + (1 - z) tanh(x W_h + (r h) U_h + b_h)

    Args:
        units: Number of neurons.
        hidden_units: Width of the hidden layer of dh/dt; `units` by default.
        unfolds: Solver steps between two observations.
        solver: As `ODECell`; there is no decay here, so "semi_implicit" is "euler".

    Other args, call arguments and errors are those of `ODECell`.

    Reference: Rubanova, Chen and Duvenaud, Latent Ordinary Differential Equations for
    Irregularly-Sampled Time Series, NeurIPS 2019, algorithm 1.
    """

    def __init__(
        self,
        units: int,
        hidden_units: int | None = None,
        unfolds: int = 2,
        solver: str = "midpoint",
        **kwargs,
    ):
        super().__init__(units, unfolds, solver=solver, **kwargs)
        self.hidden_units = hidden_units or self.units

    def build(self, input_shape):
        features, units, hidden = self.features_of(input_shape), self.units, self.hidden_units
        self.hidden_kernel = self.add_weight(
            name="hidden_kernel", shape=(units, hidden), initializer="glorot_uniform"
        )
        self.hidden_bias = self.add_weight(name="hidden_bias", shape=(hidden,), initializer="zeros")
        self.out_kernel = self.add_weight(
            name="out_kernel", shape=(hidden, units), initializer="glorot_uniform"
        )
        self.out_bias = self.add_weight(name="out_bias", shape=(units,), initializer="zeros")
        # Side by side: update gate, reset gate, candidate.
        self.kernel = self.add_weight(
            name="kernel", shape=(features, 3 * units), initializer="glorot_uniform"
        )
        self.gate_kernel = self.add_weight(
            name="gate_kernel", shape=(units, 2 * units), initializer="orthogonal"
        )
        self.candidate_kernel = self.add_weight(
            name="candidate_kernel", shape=(units, units), initializer="orthogonal"
        )
        self.bias = self.add_weight(name="bias", shape=(3 * units,), initializer="zeros")
        self.built = True

    def project(self, inputs):
        """The input's part of gates and candidate: (..., features) -> (..., 3 units)."""
        return ops.matmul(inputs, self.kernel) + self.bias

    def increments(self, projected, h, delta):
        hidden = ops.tanh(ops.matmul(h, self.hidden_kernel) + self.hidden_bias)
        return delta * (ops.matmul(hidden, self.out_kernel) + self.out_bias), 0.0

    def advance(self, projected, states, elapsed, constants=None):
        """Solve over `elapsed` (a number or (batch, 1)), then jump: -> (output, [h])."""
        h, _ = super().advance(projected, states, elapsed)
        gates = projected[..., : 2 * self.units] + ops.matmul(h, self.gate_kernel)
        update, reset = ops.split(ops.sigmoid(gates), 2, axis=-1)
        remembered = ops.matmul(reset * h, self.candidate_kernel)
        candidate = ops.tanh(projected[..., 2 * self.units :] + remembered)
        h = update * h + (1 - update) * candidate
        return h, [h]

    def get_config(self):
        return {**super().get_config(), "hidden_units": self.hidden_units}
