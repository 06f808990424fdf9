"""MixedMemoryCell: an LSTM's memory in front of any cell."""

import keras
from keras import ops

from lnn_keras.cells.continuous_time import ContinuousTimeCell, as_list


@keras.saving.register_keras_serializable(package="lnn_keras")
class MixedMemoryCell(ContinuousTimeCell):
    """A memory that does not fade with time, in front of a cell whose state does.

        a, i, f, o = x kernel + h recurrent_kernel + bias
        c <- sigmoid(f + forget_bias) c + sigmoid(i) tanh(a)
        h, state <- cell(sigmoid(o) tanh(c), state)

    with h the cell's state, its parts side by side.

    Args:
        cell: A cell of `lnn_keras`; it advances by the elapsed time, the memory does not.
        forget_bias: Added to the forget gate, so that the memory lasts at first.

    Call arguments are those of `ContinuousTimeCell`; elapsed="last_feature" is given here,
    not to the inner cell.

    Raises:
        ValueError: `cell` takes elapsed time from its own last feature, or is no such cell, or
            `dtype` is another than its.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.MixedMemoryCell(lnn_keras.CfCCell(32)))
    ```

    Reference: Lechner and Hasani, Learning Long-Term Dependencies in Irregularly-Sampled
    Time Series, 2020.
    """

    def __init__(self, cell: ContinuousTimeCell, forget_bias: float = 1.0, **kwargs):
        if not isinstance(cell, ContinuousTimeCell):
            raise ValueError(f"`cell` must be a cell of lnn_keras; received {cell!r}.")
        if not isinstance(cell.elapsed, float):
            raise ValueError(
                'Give elapsed="last_feature" to MixedMemoryCell, not to the cell inside.'
            )
        sizes = as_list(cell.state_size)
        kwargs.setdefault("elapsed", cell.elapsed)
        kwargs.setdefault("dtype", cell.dtype_policy)
        super().__init__([sum(sizes), *sizes], cell.output_size, **kwargs)
        if self.dtype_policy.name != cell.dtype_policy.name:
            raise ValueError(
                f"`dtype` must be that of the cell inside, {cell.dtype_policy.name}; "
                f"received {self.dtype_policy.name}."
            )
        self.cell = cell
        self.forget_bias = forget_bias

    def build(self, input_shape):
        features, size = self.features_of(input_shape), self.state_size[0]
        self.kernel = self.add_weight(
            name="kernel", shape=(features, 4 * size), initializer="glorot_uniform"
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(size, 4 * size), initializer="orthogonal"
        )
        self.bias = self.add_weight(name="bias", shape=(4 * size,), initializer="zeros")
        if not self.cell.built:
            self.cell.build((None, size))
        self.built = True

    def project(self, inputs):
        """The input's part of the gates: (..., features) -> (..., 4 size of the memory)."""
        return ops.matmul(inputs, self.kernel) + self.bias

    def advance(self, projected, states, elapsed):
        """Write the memory, then advance the cell inside: -> (output, [c, *its states])."""
        memory, *inner = states
        gates = projected + ops.matmul(ops.concatenate(inner, axis=-1), self.recurrent_kernel)
        a, i, f, o = ops.split(gates, 4, axis=-1)
        kept = ops.sigmoid(f + self.forget_bias) * memory
        memory = kept + ops.sigmoid(i) * ops.tanh(a)
        seen = self.cell.project(ops.sigmoid(o) * ops.tanh(memory))
        output, inner = self.cell.advance(seen, inner, elapsed)
        return output, [memory, *inner]

    def get_config(self):
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "forget_bias": self.forget_bias,
        }

    @classmethod
    def from_config(cls, config):
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})
