"""CfCCell: the closed-form continuous-time cell."""

import itertools

import keras
from keras import ops

from lnn_keras.argument_checks import require_at_least, require_choice
from lnn_keras.cells.continuous_time import ContinuousTimeCell, first_state

# The heads of each mode: what is read off the backbone, each (batch, units).
HEADS = {
    "default": ("before", "after", "time_scale", "time_shift"),
    "no_gate": ("before", "after", "time_scale", "time_shift"),
    "pure": ("before",),
}


@keras.saving.register_keras_serializable(package="lnn_keras")
def lecun_tanh(x):
    """1.7159 tanh(0.666 x), whose variance is that of its input (LeCun et al., 1998)."""
    return 1.7159 * ops.tanh(0.666 * x)


@keras.saving.register_keras_serializable(package="lnn_keras")
class CfCCell(ContinuousTimeCell):
    """A closed-form continuous-time cell: a solution in the place of a solver.

    A backbone of dense layers sees the input and the state; heads read it:

        gate     = sigmoid(time_shift - time_scale t)
        default:   h <- before (1 - gate) + after gate
        no_gate:   h <- before + after gate
        pure:      h <- A (1 - before exp(-t (|w_tau| + |before|)))

    with t the elapsed time. Unlike an ODE's, the state may change at t = 0.

    Args:
        units: Number of neurons.
        mode: "default", "no_gate" or "pure".
        backbone_units: Width of each backbone layer.
        backbone_layers: Number of backbone layers; with 0 the heads see input and state.
        activation: Activation of the backbone layers.
        head_activation: Activation of `before` and `after`; "tanh" bounds the state.

    Other args and call arguments are those of `ContinuousTimeCell`.

    Raises:
        ValueError: A number below its least, unknown `mode`, `elapsed` of another form.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.CfCCell(32))
    ```

    Reference: Hasani et al., Closed-form continuous-time neural networks, Nature Machine
    Intelligence, 2022, eq. 10.
    """

    def __init__(
        self,
        units: int,
        mode: str = "default",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        activation=lecun_tanh,
        head_activation="tanh",
        **kwargs,
    ):
        units = require_at_least(1, "units", units)
        super().__init__(units, units, **kwargs)
        self.units = units
        self.mode = require_choice("mode", mode, HEADS)
        self.backbone_units = require_at_least(1, "backbone_units", backbone_units)
        self.backbone_layers = require_at_least(0, "backbone_layers", backbone_layers)
        self.activation = keras.activations.get(activation)
        self.head_activation = keras.activations.get(head_activation)

    def build(self, input_shape):
        features, units = self.features_of(input_shape), self.units
        sizes = [self.backbone_units] * self.backbone_layers + [len(HEADS[self.mode]) * units]
        # The first layer sees input and state; project does the input's part of it.
        self.kernel = self._matrix("kernel", features, sizes[0])
        self.recurrent_kernel = self._matrix("recurrent_kernel", units, sizes[0])
        self.bias = self._vector("bias", sizes[0])
        self.deeper = [
            (self._matrix(f"kernel_{i}", *pair), self._vector(f"bias_{i}", pair[1]))
            for i, pair in enumerate(itertools.pairwise(sizes), start=1)
        ]
        if self.mode == "pure":
            self.w_tau = self._vector("w_tau", units)
            self.amplitude = self._vector("amplitude", units, "ones")
        self.built = True

    def _matrix(self, name, rows, columns):
        return self.add_weight(name=name, shape=(rows, columns), initializer="glorot_uniform")

    def _vector(self, name, size, initializer="zeros"):
        return self.add_weight(name=name, shape=(size,), initializer=initializer)

    def project(self, inputs):
        """The input's part of the first layer: (..., features) -> (..., its size)."""
        return ops.matmul(inputs, self.kernel) + self.bias

    def constants(self, elapsed=None):
        """The last layer for steps of one length, where shift and scale are one head."""
        if elapsed is None or self.mode == "pure" or not self.deeper:
            return []
        folded = []
        for weight in self.deeper[-1]:
            before, after, scale, shift = ops.split(weight, 4, axis=-1)
            folded.append(ops.concatenate([before, after, shift - elapsed * scale], axis=-1))
        return folded

    def advance(self, projected, states, elapsed, constants=None):
        """The closed form at `elapsed` (a number or (batch, 1)): -> (output, [h])."""
        z = projected + ops.matmul(first_state(states), self.recurrent_kernel)
        layers = [*self.deeper[:-1], constants] if constants else self.deeper
        for kernel, bias in layers:
            z = ops.matmul(self.activation(z), kernel) + bias
        heads = ops.split(z, z.shape[-1] // self.units, axis=-1)
        before = self.head_activation(heads[0])
        if self.mode == "pure":
            rate = ops.abs(self.w_tau) + ops.abs(before)
            h = self.amplitude * (1 - before * ops.exp(-elapsed * rate))
        else:
            after = self.head_activation(heads[1])
            gate = ops.sigmoid(heads[2] if constants else heads[3] - elapsed * heads[2])
            kept = before if self.mode == "no_gate" else before * (1 - gate)
            h = kept + after * gate
        return self.read_out(h), [h]

    def read_out(self, h):
        """The output, of the new state (batch, units)."""
        return h

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "mode": self.mode,
            "backbone_units": self.backbone_units,
            "backbone_layers": self.backbone_layers,
            "activation": keras.activations.serialize(self.activation),
            "head_activation": keras.activations.serialize(self.head_activation),
        }
