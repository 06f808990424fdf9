"""CfCCell: the closed-form continuous-time cell."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras

from lnn_keras.argument_checks import require_at_least, require_choice
from lnn_keras.cells.continuous_time import first_state, masked
from lnn_keras.cells.dense import DenseCell, dense
from lnn_keras.cells.initializers import clone_initializer
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Activation, Constraint, Initializer, Regularizer

# The heads of each mode, the outputs of the last dense layer, each (batch, units).
HEADS = {
    "default": ("before", "after", "time_scale", "time_shift"),
    "no_gate": ("before", "after", "time_scale", "time_shift"),
    "pure": ("before",),
}


@keras.saving.register_keras_serializable(package="lnn_keras")
def lecun_tanh(x: Tensor) -> Tensor:
    """1.7159 tanh(0.666 x), which keeps the variance of its input (LeCun et al., 1998)."""
    return 1.7159 * ops.tanh(0.666 * x)


@keras.saving.register_keras_serializable(package="lnn_keras")
class CfCCell(DenseCell):
    """A closed-form continuous-time cell: an approximate solution replaces the ODE solver.

    A backbone of dense layers takes the input and the state; heads take its output:

        gate     = sigmoid(time_shift - time_scale t)
        default:   h <- before (1 - gate) + after gate
        no_gate:   h <- before + after gate
        pure:      h <- A (1 - before exp(-t (|w_tau| + |before|)))

    with t the elapsed time. Unlike the state of an ODE, this state may change at t = 0. In mode
    "pure" the authors' code has no activation of `before`: head_activation="linear" gives it,
    without a bound of the state. `from_ncps` sets it.

    Args:
        units: Number of neurons.
        mode: "default", "no_gate" or "pure".
        backbone_units: Width of each backbone layer.
        backbone_layers: Number of backbone layers; with 0 the heads take input and state.
        activation: Activation of the backbone layers.
        head_activation: Activation of `before` and `after`; "tanh" bounds the state.
        use_bias: Whether the dense layers have biases.
        kernel_initializer: Initializer of the input weights and of the later layers' weights.
        recurrent_initializer: Initializer of the state's weights in the first layer.
        bias_initializer: Initializer of the biases.
        kernel_regularizer: Regularizer of the input weights and of the later layers' weights.
        recurrent_regularizer: Regularizer of the state's weights in the first layer.
        bias_regularizer: Regularizer of the biases.
        kernel_constraint: Constraint of the input weights and of the later layers' weights.
        recurrent_constraint: Constraint of the state's weights in the first layer.
        bias_constraint: Constraint of the biases.
        dropout: Fraction of the input features to drop, in [0, 1).
        recurrent_dropout: Fraction of the state to drop where it enters the first layer, in
            [0, 1).
        seed: Random seed of the dropout masks.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
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
        ValueError: `units` or `backbone_units` below 1, `backbone_layers` below 0, unknown
            `mode`, invalid `elapsed`, a dropout rate not in [0, 1).

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
        activation: Activation = lecun_tanh,
        head_activation: Activation = "tanh",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "glorot_uniform",
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
        super().__init__(
            units,
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
        self.mode = require_choice("mode", mode, HEADS)
        self.backbone_units = require_at_least(1, "backbone_units", backbone_units)
        self.backbone_layers = require_at_least(0, "backbone_layers", backbone_layers)
        self.activation: Any = keras.activations.get(activation)
        self.head_activation: Any = keras.activations.get(head_activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features, units = self.features_of(input_shape), self.units
        sizes = [self.backbone_units] * self.backbone_layers + [len(HEADS[self.mode]) * units]
        # The first layer takes input and state; `project` computes the input's product.
        self.kernel = self.add_kernel("kernel", features, sizes[0])
        self.recurrent_kernel = self.add_recurrent_kernel("recurrent_kernel", units, sizes[0])
        self.bias = self.add_bias("bias", sizes[0])
        self.later_layers = [
            (
                self.add_kernel(
                    f"kernel_{i}", *pair, initializer=clone_initializer(self.kernel_initializer)
                ),
                self.add_bias(f"bias_{i}", pair[1]),
            )
            for i, pair in enumerate(itertools.pairwise(sizes), start=1)
        ]
        if self.mode == "pure":
            self.w_tau = self.add_weight(name="w_tau", shape=(units,), initializer="zeros")
            self.amplitude = self.add_weight(name="amplitude", shape=(units,), initializer="ones")
        self.built = True

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The input's part of the first layer: (..., features) -> (..., its size)."""
        return dense(inputs, self.kernel, self.bias)

    def constants(
        self, elapsed: float | None = None, recurrent_mask: Tensor | None = None
    ) -> list[Tensor]:
        """The dropout mask, if there is one, and the last layer folded for one elapsed time.

        With an elapsed time that all steps share, time_shift - time_scale t is one head. The
        folded layer is a kernel and a bias, so the number of constants is odd with a mask.
        """
        mask = super().constants(elapsed, recurrent_mask)
        if elapsed is None or self.mode == "pure" or not self.later_layers:
            return mask
        kernel, bias = self.later_layers[-1]
        bias = ops.zeros_like(kernel[0]) if bias is None else bias
        return [*mask, *(self._fold_time(weight, elapsed) for weight in (kernel, bias))]

    @staticmethod
    def _fold_time(weight, elapsed):
        before, after, scale, shift = ops.split(weight, 4, axis=-1)
        return ops.concatenate([before, after, shift - elapsed * scale], axis=-1)

    def advance(
        self,
        projected: Tensor,
        states: Any,
        elapsed: float | Tensor,
        constants: Sequence[Tensor] | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """The closed form at `elapsed`: -> (output, [h])."""
        folded, mask = list(constants or []), None
        if len(folded) % 2:
            mask, *folded = folded
        heads = self._heads(projected, masked(first_state(states), mask), folded)
        before = self.head_activation(heads[0])
        if self.mode == "pure":
            rate = ops.abs(self.w_tau) + ops.abs(before)
            h = self.amplitude * (1 - before * ops.exp(-elapsed * rate))
        else:
            after = self.head_activation(heads[1])
            gate = ops.sigmoid(heads[2] if folded else heads[3] - elapsed * heads[2])
            kept = before if self.mode == "no_gate" else before * (1 - gate)
            h = kept + after * gate
        return self.read_out(h), [h]

    def _heads(self, projected, h, folded=()):
        """The heads, each (batch, units); with the folded last layer, the time heads are one."""
        z = projected + ops.matmul(h, self.recurrent_kernel)
        layers = [*self.later_layers[:-1], folded] if folded else self.later_layers
        for kernel, bias in layers:
            z = dense(self.activation(z), kernel, bias)
        return ops.split(z, z.shape[-1] // self.units, axis=-1)

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """The heads "before" and "after", the "gate" between them, and "time_constant".

        The time constant is 1 / |time_scale|, the elapsed time over which the argument of the gate
        changes by 1. In mode "pure" there are "before" and time_constant = 1 / (|w_tau| +
        |before|). Each is (batch, units).
        """
        heads = self._heads(self.project(features), first_state(states))
        before = self.head_activation(heads[0])
        if self.mode == "pure":
            rate = ops.abs(self.w_tau) + ops.abs(before)
            return {"time_constant": 1 / rate, "before": before}
        return {
            "time_constant": 1 / ops.abs(heads[2]),
            "gate": ops.sigmoid(heads[3] - elapsed * heads[2]),
            "before": before,
            "after": self.head_activation(heads[1]),
        }

    def read_out(self, h: Tensor) -> Tensor:
        """The output as a function of the new state (batch, units)."""
        return h

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "mode": self.mode,
            "backbone_units": self.backbone_units,
            "backbone_layers": self.backbone_layers,
            "activation": keras.activations.serialize(self.activation),
            "head_activation": keras.activations.serialize(self.head_activation),
        }
