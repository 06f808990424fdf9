"""Causal convolution as a buffer of past rows and one matrix product.

A causal Conv1D with k taps, dilation d and stride s computes, on rows x,

    y[j] = activation(sum_i x[j s - (k - 1 - i) d] kernel[i] + bias),    x[t] = 0 for t < 0

so a step needs the previous (k - 1) d rows, which it keeps as a state. Concatenating the taps
turns the convolution into one product with the reshaped kernel.
"""

from typing import Any

import keras
import numpy as np
from keras import ops


def past_rows(layer: keras.layers.Conv1D) -> int:
    """Return the number of past rows that a step of the layer needs."""
    return (layer.kernel_size[0] - 1) * layer.dilation_rate[0]


class CausalConvolution(keras.layers.Layer):
    """A causal Conv1D on rows that are preceded by `past_rows(layer)` past rows.

    Args:
        layer: The built Conv1D; its weights are shared.

    Call arguments:
        rows: The past rows followed by the new rows (batch, past + time, features), or the
            past rows and one new row, flattened: (batch, (past + 1) * features).

    Returns:
        (batch, ceil(time / stride), filters), or (batch, filters) for one flattened row.
    """

    def __init__(self, layer: keras.layers.Conv1D, **kwargs: Any):
        super().__init__(name=layer.name, **kwargs)
        self.layer = layer
        self.built = True

    def call(self, rows: Any) -> Any:
        layer = self.layer
        taps = self._taps_of_flat_row(rows) if len(rows.shape) == 2 else self._taps(rows)
        output: Any = ops.matmul(ops.concatenate(taps, axis=-1), self._kernel_matrix())
        if layer.use_bias:
            output = output + layer.bias
        return layer.activation(output)

    def _taps(self, rows):
        (count,), (dilation,) = self.layer.kernel_size, self.layer.dilation_rate
        (stride,) = self.layer.strides
        # Negative, because the length is unknown; the last tap has no end (0 would be the start).
        ends = [i * dilation - past_rows(self.layer) or None for i in range(count)]
        return [rows[:, i * dilation : end : stride] for i, end in enumerate(ends)]

    def _taps_of_flat_row(self, rows):
        (count,), (dilation,) = self.layer.kernel_size, self.layer.dilation_rate
        if dilation == 1:
            return [rows]
        features = rows.shape[-1] // (past_rows(self.layer) + 1)
        starts = [i * dilation * features for i in range(count)]
        return [rows[:, start : start + features] for start in starts]

    def _kernel_matrix(self):
        """The kernel as one matrix (taps * features, filters), block-diagonal over groups."""
        layer = self.layer
        kernel: Any = layer.kernel
        taps, group_features, filters = kernel.shape
        features = group_features * layer.groups
        group_of_feature = np.arange(features) // group_features
        group_of_filter = np.arange(filters) // (filters // layer.groups)
        same_group = group_of_feature[:, None] == group_of_filter
        tiled = ops.tile(kernel, (1, layer.groups, 1))
        return ops.reshape(tiled * same_group.astype("float32"), (taps * features, filters))
