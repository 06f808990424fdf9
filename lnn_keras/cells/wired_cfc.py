"""WiredCfCCell: one closed-form cell for each layer of a wiring."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from lnn_keras.argument_checks import require_choice
from lnn_keras.cells.cfc import HEADS, CfCCell
from lnn_keras.cells.continuous_time import first_state
from lnn_keras.cells.dense import DenseCell
from lnn_keras.cells.initializers import clone_initializer
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Activation, Constraint, Initializer, Regularizer
from lnn_keras.wirings import Wiring


# Saved weights contain the name of this class.
class _MaskedCfCCell(CfCCell):
    """A closed-form cell without backbone, with input weights that a wiring masks.

    The mask (inputs, units) applies to the heads `before` and `after`. The time heads take all
    inputs.
    """

    def __init__(self, mask: np.ndarray, **kwargs):
        super().__init__(mask.shape[1], backbone_layers=0, **kwargs)
        heads = HEADS[self.mode]
        masks = [mask if head in ("before", "after") else np.ones_like(mask) for head in heads]
        self.mask = np.concatenate(masks, axis=1)

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        product = ops.matmul(inputs, self.kernel * ops.cast(self.mask, self.compute_dtype))
        return product if self.bias is None else product + self.bias


@keras.saving.register_keras_serializable(package="lnn_keras")
class WiredCfCCell(DenseCell):
    """Closed-form cells on a wiring: each layer takes the new state of the previous layer.

    The equations are those of `CfCCell` without a backbone. Between layers, the heads `before`
    and `after` use only the synapses of the wiring; within a layer every neuron takes the state
    of every other. The state concatenates the layers in their order. The output is the last
    layer, the motor neurons.

    Args:
        wiring: A `lnn_keras.wirings.Wiring`.
        mode: "default", "no_gate" or "pure".
        head_activation: Activation of the heads `before` and `after`; "tanh" bounds the state.
            The authors' code has none in mode "pure" ("linear").
        use_bias: Whether the layers have biases.
        kernel_initializer: Initializer of the input weights of each layer.
        recurrent_initializer: Initializer of the state's weights of each layer.
        bias_initializer: Initializer of the biases.
        kernel_regularizer: Regularizer of the input weights of each layer.
        recurrent_regularizer: Regularizer of the state's weights of each layer.
        bias_regularizer: Regularizer of the biases.
        kernel_constraint: Constraint of the input weights of each layer.
        recurrent_constraint: Constraint of the state's weights of each layer.
        bias_constraint: Constraint of the biases.
        dropout: Fraction of the input features to drop, in [0, 1).
        recurrent_dropout: Fraction of the state to drop where it is multiplied by the state's
            weights, in [0, 1).
        seed: Random seed of the dropout masks.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: The state (batch, wiring.units), or a list that holds it.
        elapsed: Optional elapsed time that replaces the cell's own: a number, (batch,) or
            (batch, 1).
        training: Whether to apply dropout, with one mask per sequence.

    Returns:
        The output (batch, wiring.outputs), and the list of the new state.

    Raises:
        ValueError: `wiring` is not a wiring, or its layers do not hold each neuron once or have
            fewer neurons in the last one than outputs; unknown `mode`, invalid `elapsed`, a
            dropout rate not in [0, 1).

    Example:

    ```python
    wiring = lnn_keras.wirings.AutoNCP(32, outputs=4)
    layer = lnn_keras.LiquidRNN(lnn_keras.WiredCfCCell(wiring))
    ```

    References: Hasani et al., Closed-form continuous-time neural networks, 2022; Lechner
    et al., Neural circuit policies enabling auditable autonomy, 2020.
    """

    def __init__(
        self,
        wiring: Wiring,
        mode: str = "default",
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
        if not hasattr(wiring, "connect"):
            raise ValueError(f"`wiring` must be a Wiring; received {type(wiring).__name__}.")
        super().__init__(
            wiring.units,
            wiring.outputs,
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
        self.wiring = wiring
        self.mode = require_choice("mode", mode, HEADS)
        self.head_activation: Any = keras.activations.get(head_activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = self.features_of(input_shape)
        connections = self.wiring.connect(features)
        self.cells, previous = [], None
        for number, layer in enumerate(_layers_of(self.wiring)):
            if previous is None:
                polarities = connections.sensory[:, layer]
            else:
                polarities = connections.recurrent[np.ix_(previous, layer)]
            cell = self._layer_cell(number, np.abs(polarities).astype("float32"))
            cell.build((None, len(polarities)))
            self.cells.append(cell)
            previous = layer
        self.built = True

    def _layer_cell(self, number, mask):
        initializers = self.kernel_initializer, self.recurrent_initializer
        if number:
            initializers = tuple(clone_initializer(initializer) for initializer in initializers)
        return _MaskedCfCCell(
            mask,
            mode=self.mode,
            head_activation=self.head_activation,
            use_bias=self.use_bias,
            kernel_initializer=initializers[0],
            recurrent_initializer=initializers[1],
            bias_initializer=self.bias_initializer,
            kernel_regularizer=self.kernel_regularizer,
            recurrent_regularizer=self.recurrent_regularizer,
            bias_regularizer=self.bias_regularizer,
            kernel_constraint=self.kernel_constraint,
            recurrent_constraint=self.recurrent_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
            name=f"layer_{number}",
        )

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The input's part of the first layer: (..., features) -> (..., its size)."""
        return self.cells[0].project(inputs)

    def advance(
        self,
        projected: Tensor,
        states: Any,
        elapsed: float | Tensor,
        constants: Sequence[Tensor] | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """Advance the layers in their order: -> (output, [h])."""
        old = self._split_layers(first_state(states))
        masks = self._split_layers(constants[0]) if constants else None
        new = []
        for number, cell in enumerate(self.cells):
            if new:
                projected = cell.project(new[-1])
            mask = [masks[number]] if masks else None
            output, _ = cell.advance(projected, [old[number]], elapsed, mask)
            new.append(output)
        # Wirings of one layer start with the motor neurons.
        return new[-1][..., : self.output_size], [ops.concatenate(new, axis=-1)]

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """As of `CfCCell`, each (batch, units), the layers in their order."""
        by_layer = []
        for cell, h in zip(self.cells, self._split_layers(first_state(states)), strict=True):
            by_layer.append(cell.quantities(features, h, elapsed))
            features, _ = cell.advance(cell.project(features), [h], elapsed)
        return {
            name: ops.concatenate([found[name] for found in by_layer], axis=-1)
            for name in by_layer[0]
        }

    def _split_layers(self, h):
        ends = list(itertools.accumulate(cell.units for cell in self.cells))
        # TensorFlow cannot split a tensor into one part by an empty list of indices.
        return ops.split(h, ends[:-1], axis=-1) if len(ends) > 1 else [h]

    def read_out(self, h: Tensor) -> Tensor:
        """The output as a function of the new state (..., units)."""
        start = h.shape[-1] - self.cells[-1].units
        return h[..., start : start + self.output_size]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "wiring": keras.saving.serialize_keras_object(self.wiring),
            "mode": self.mode,
            "head_activation": keras.activations.serialize(self.head_activation),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WiredCfCCell":
        wiring = keras.saving.deserialize_keras_object(config["wiring"])
        return cls(**{**config, "wiring": wiring})


def _layers_of(wiring: Wiring) -> list[list[int]]:
    """The layers of a wiring that hold neurons; without any, all neurons form one layer."""
    layers = [list(layer) for layer in wiring.layers if len(layer)] or [list(range(wiring.units))]
    if sorted(itertools.chain(*layers)) != list(range(wiring.units)):
        raise ValueError(
            f"The `layers` of {wiring!r} must hold each of its {wiring.units} neurons once; "
            f"received {wiring.layers}."
        )
    if len(layers[-1]) < wiring.outputs:
        raise ValueError(
            f"The last of the `layers` of {wiring!r} must hold its {wiring.outputs} motor "
            f"neurons; received {wiring.layers}."
        )
    return layers
