"""Synapses: the conductance-based synapses of a wiring, for LTCCell."""

from typing import Any

import keras
import numpy as np

from lnn_keras.autodiff.linear_map import linear_map
from lnn_keras.cells.fan_in import FanInLayout
from lnn_keras.elapsed import in_device_file
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Initializer


class Synapses:
    """The sensory or the recurrent synapses of a cell, with weights per existing synapse.

    The target neuron of a synapse receives w s E and w s, with s = sigmoid(sigma (u - mu)) and
    u the value of the source.

    Args:
        cell: The cell that owns the weights.
        prefix: Prefix of the names of the weights.
        matrix: (sources, units): 1 or -1, the polarity, where a synapse exists.
        weight_initializer: Initializer of w (synapses,).
        sigma_initializer: Initializer of sigma (synapses,).
        mu_initializer: Initializer of mu (synapses,).

    Attributes:
        sources: Index of the source of each synapse, int32 (synapses,).
    """

    def __init__(
        self,
        cell: keras.layers.Layer,
        prefix: str,
        matrix: np.ndarray,
        weight_initializer: Initializer,
        sigma_initializer: Initializer,
        mu_initializer: Initializer,
    ):
        sources, targets = np.nonzero(matrix)
        polarity = matrix[sources, targets].astype("float32")
        # Runtimes of small devices have no kernels for 64-bit indices.
        self.sources = sources.astype("int32")
        self._targets = targets.astype("int32")
        # One-hot targets (synapses, units): their product sums the synapses of each neuron.
        self._target_matrix = np.eye(matrix.shape[1], dtype="float32")[targets]
        # One-hot sources (synapses, sources).
        self._source_matrix = np.eye(matrix.shape[0], dtype="float32")[sources]
        self._layout = FanInLayout(sources, targets, matrix.shape)

        def add(name: str, initializer: Any, constraint: str | None = None) -> keras.Variable:
            return cell.add_weight(
                name=prefix + name,
                shape=sources.shape,
                initializer=initializer,
                constraint=constraint,
            )

        self.weight = add("weight", weight_initializer, "non_neg")
        self.sigma = add("sigma", sigma_initializer)
        self.mu = add("mu", mu_initializer)
        self.reversal = add(
            "reversal", lambda shape, dtype=None: ops.convert_to_tensor(polarity, dtype)
        )

    def currents(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of w s E and of w s for each neuron: (..., sources) -> two (..., units)."""
        conductance = self._conductance(values)
        target_matrix = ops.cast(self._target_matrix, conductance.dtype)
        return (
            ops.matmul(conductance * self.reversal, target_matrix),
            ops.matmul(conductance, target_matrix),
        )

    def current_of_each(self, values: Tensor, potentials: Tensor) -> Tensor:
        """The current w s (E - v) of each synapse.

        Args:
            values: Values of the sources (..., sources).
            potentials: Potentials v of the neurons (..., units).

        Returns:
            (..., synapses).
        """
        targets = ops.take(potentials, self._targets, axis=-1)
        return self._conductance(values) * (self.reversal - targets)

    def _conductance(self, values):
        """w s of each synapse: (..., sources) -> (..., synapses)."""
        presynaptic = self._presynaptic(values)
        return self.weight * ops.sigmoid(self.sigma * (presynaptic - self.mu))

    def _presynaptic(self, values):
        """The value of the source of each synapse: (..., sources) -> (..., synapses).

        TensorFlow's gradient of a gather from the last axis has transpositions whose order of axes
        is a tensor, which XLA refuses in the second gradient of a loop. The transposed map is a
        product here, with one-hot sources.
        """
        if in_device_file():
            return ops.take(values, self.sources, axis=-1)
        return linear_map(
            lambda values: ops.take(values, self.sources, axis=-1),
            lambda slots: ops.matmul(slots, ops.cast(self._source_matrix, slots.dtype)),
            values,
        )

    def total_weight(self) -> Tensor:
        """The sum of w of each neuron (units,)."""
        return ops.matmul(self.weight, ops.cast(self._target_matrix, self.weight.dtype))

    def constants(self, scale: Tensor) -> list[Tensor]:
        """The arguments of `currents_batch_last` that depend on weights only.

        Args:
            scale: Factor of the currents of each neuron (units,).
        """
        weight = self.weight * ops.take(scale, self._targets) / 2
        pad = self._layout.pad_weights
        weights = ops.stack([pad(weight * self.reversal), pad(weight)], axis=1)
        sigma = ops.expand_dims(pad(self.sigma / 2), -1)
        shift = sigma * ops.expand_dims(pad(self.mu), -1)
        return [sigma, shift, weights, ops.sum(weights, axis=-1, keepdims=True)]

    def currents_batch_last(
        self, values: Tensor, sigma: Tensor, shift: Tensor, weights: Tensor, offset: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`currents` times the scale of `constants`: (sources, batch) -> two (units, batch).

        One batched product computes both sums of all neurons. w sigmoid(z) is computed as
        w / 2 + w / 2 tanh(z / 2), since compilers emit fewer instructions for tanh.
        """
        s = ops.tanh(sigma * self._layout.gather_sources(values) - shift)
        sums = ops.matmul(weights, s) + offset
        return self._layout.pad_units(sums[:, 0]), self._layout.pad_units(sums[:, 1])
