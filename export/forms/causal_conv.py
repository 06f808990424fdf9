"""Causal convolutions as a past and one matrix product.

A causal Conv1D of k taps, dilation d and stride s gives, of rows x,

    y[j] = activation(sum_i x[j s - (k - 1 - i) d] kernel[i] + bias),    x[t] = 0 for t < 0

so a step needs the last (k - 1) d rows: its past, kept as a state. The taps of a row
side by side, times the kernel as one matrix, are the convolution.
"""

import keras
import numpy as np
from keras import ops


def past_rows(layer: keras.layers.Conv1D) -> int:
    """How many past rows a step of the layer needs."""
    return (layer.kernel_size[0] - 1) * layer.dilation_rate[0]


class CausalConvolution(keras.layers.Layer):
    """A causal Conv1D over rows that follow a past of `past_rows(layer)` rows.

    Args:
        layer: The built Conv1D, whose weights it uses.

    Call arguments:
        rows: The past and the rows that follow it (batch, past + time, features), or
            the past and one row, flat: (batch, (past + 1) * features).

    Returns:
        (batch, ceil(time / stride), filters), or (batch, filters) for one row.
    """

    def __init__(self, layer: keras.layers.Conv1D, **kwargs):
        super().__init__(name=layer.name, **kwargs)
        self.layer = layer
        self.built = True

    def call(self, rows):
        layer = self.layer
        taps = self._taps_of_one(rows) if len(rows.shape) == 2 else self._taps(rows)
        output = ops.matmul(ops.concatenate(taps, axis=-1), self._matrix())
        if layer.use_bias:
            output = output + layer.bias
        return layer.activation(output)

    def _taps(self, rows):
        (count,), (dilation,) = self.layer.kernel_size, self.layer.dilation_rate
        (stride,) = self.layer.strides
        # Counted from the end, where 0 would be the start.
        ends = [i * dilation - past_rows(self.layer) or None for i in range(count)]
        return [rows[:, i * dilation : end : stride] for i, end in enumerate(ends)]

    def _taps_of_one(self, rows):
        (count,), (dilation,) = self.layer.kernel_size, self.layer.dilation_rate
        if dilation == 1:
            return [rows]
        features = rows.shape[-1] // (past_rows(self.layer) + 1)
        starts = [i * dilation * features for i in range(count)]
        return [rows[:, start : start + features] for start in starts]

    def _matrix(self):
        """The kernel as one matrix (taps * features, filters), groups as blocks in it."""
        layer = self.layer
        taps, group_features, filters = layer.kernel.shape
        features = group_features * layer.groups
        kernel = ops.tile(layer.kernel, (1, layer.groups, 1))
        group_of_feature = np.arange(features) // group_features
        group_of_filter = np.arange(filters) // (filters // layer.groups)
        block = group_of_feature[:, None] == group_of_filter
        return ops.reshape(kernel * block.astype("float32"), (taps * features, filters))
