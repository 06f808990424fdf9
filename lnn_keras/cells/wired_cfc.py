"""WiredCfCCell: closed-form cells, one for each layer of a wiring."""

import keras
import numpy as np
from keras import ops

from lnn_keras.argument_checks import require_choice
from lnn_keras.cells.cfc import HEADS, CfCCell
from lnn_keras.cells.continuous_time import ContinuousTimeCell, first_state
from lnn_keras.wirings import Wiring


class _MaskedCfCCell(CfCCell):
    """A closed-form cell without backbone whose contents see the wired inputs alone."""

    def __init__(self, mask, **kwargs):
        super().__init__(mask.shape[1], backbone_layers=0, **kwargs)
        # The gates' time heads see the whole layer, the contents what the wiring lets them.
        contents = sum(head in ("before", "after") for head in HEADS[self.mode])
        times = len(HEADS[self.mode]) - contents
        self.mask = np.concatenate([mask] * contents + [np.ones_like(mask)] * times, axis=1)

    def project(self, inputs):
        mask = ops.cast(self.mask, self.compute_dtype)
        return ops.matmul(inputs, self.kernel * mask) + self.bias


@keras.saving.register_keras_serializable(package="lnn_keras")
class WiredCfCCell(ContinuousTimeCell):
    """Closed-form cells on a wiring: each layer sees the new state of the one before it.

    The equations are those of `CfCCell` without a backbone. Between layers only the
    wiring's synapses carry contents; within a layer every neuron sees every other.
    The state holds the layers in their order; the last one, the motor neurons, is
    the output.

    Args:
        wiring: A `lnn_keras.wirings.Wiring`.
        mode: "default", "no_gate" or "pure".
        head_activation: Activation of the contents; "tanh" bounds the state.

    Other args and call arguments are those of `ContinuousTimeCell`.

    Raises:
        ValueError: Unknown `mode`, `wiring` is none, `elapsed` of another form.

    References: Hasani et al., Closed-form continuous-time neural networks, 2022; Lechner
    et al., Neural circuit policies enabling auditable autonomy, 2020.
    """

    def __init__(self, wiring: Wiring, mode: str = "default", head_activation="tanh", **kwargs):
        if not hasattr(wiring, "connect"):
            raise ValueError(f"`wiring` must be a Wiring; received {type(wiring).__name__}.")
        super().__init__(wiring.units, wiring.outputs, **kwargs)
        self.wiring = wiring
        self.mode = require_choice("mode", mode, HEADS)
        self.head_activation = keras.activations.get(head_activation)

    def build(self, input_shape):
        features = self.features_of(input_shape)
        connections = self.wiring.connect(features)
        self.cells, before = [], None
        for number, layer in enumerate(self.wiring.layers):
            if before is None:
                signs = connections.sensory[:, list(layer)]
            else:
                signs = connections.recurrent[np.ix_(before, layer)]
            cell = _MaskedCfCCell(
                np.abs(signs).astype("float32"),
                mode=self.mode,
                head_activation=self.head_activation,
                dtype=self.dtype_policy,
                name=f"layer_{number}",
            )
            cell.build((None, len(signs)))
            self.cells.append(cell)
            before = layer
        self.built = True

    def project(self, inputs):
        """The input's part of the first layer."""
        return self.cells[0].project(inputs)

    def advance(self, projected, states, elapsed):
        """Layer by layer, each from the new state of the one before: -> (output, [h])."""
        ends = np.cumsum([cell.units for cell in self.cells])[:-1]
        held = ops.split(first_state(states), [int(end) for end in ends], axis=-1)
        new = []
        for cell, h in zip(self.cells, held, strict=True):
            if new:
                projected = cell.project(new[-1])
            output, _ = cell.advance(projected, [h], elapsed)
            new.append(output)
        # A wiring of one layer holds the motor neurons first.
        return new[-1][..., : self.output_size], [ops.concatenate(new, axis=-1)]

    def read_out(self, h):
        """The output, of the new state (..., units)."""
        start = h.shape[-1] - self.cells[-1].units
        return h[..., start : start + self.output_size]

    def get_config(self):
        return {
            **super().get_config(),
            "wiring": keras.saving.serialize_keras_object(self.wiring),
            "mode": self.mode,
            "head_activation": keras.activations.serialize(self.head_activation),
        }

    @classmethod
    def from_config(cls, config):
        wiring = keras.saving.deserialize_keras_object(config["wiring"])
        return cls(**{**config, "wiring": wiring})
