"""MixedMemoryCell: an LSTM memory in front of another cell."""

from collections.abc import Sequence
from typing import Any

import keras

from lnn_keras.cells.continuous_time import ContinuousTimeCell, as_list, masked
from lnn_keras.cells.dense import DenseCell, dense
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Constraint, Initializer, Regularizer


@keras.saving.register_keras_serializable(package="lnn_keras")
class MixedMemoryCell(DenseCell):
    """An LSTM memory, which does not decay with elapsed time, in front of a cell that does.

        a, i, f, o = x kernel + h recurrent_kernel + bias
        c <- sigmoid(f + forget_bias) c + sigmoid(i) tanh(a)
        h, state <- cell(sigmoid(o) tanh(c), state)

    with h the concatenated states of the cell.

    Args:
        cell: A cell of `lnn_keras`. It advances by the elapsed time; the memory does not.
        forget_bias: Constant added to the forget gate, which keeps the memory at first.
        use_bias: Whether the gates have a bias.
        kernel_initializer: Initializer of `kernel` (features, 4 size), with size the sum of the
            cell's state sizes.
        recurrent_initializer: Initializer of `recurrent_kernel` (size, 4 size).
        bias_initializer: Initializer of `bias` (4 size,).
        kernel_regularizer: Regularizer of `kernel`.
        recurrent_regularizer: Regularizer of `recurrent_kernel`.
        bias_regularizer: Regularizer of `bias`.
        kernel_constraint: Constraint of `kernel`.
        recurrent_constraint: Constraint of `recurrent_kernel`.
        bias_constraint: Constraint of `bias`.
        dropout: Fraction of the input features to drop, in [0, 1).
        recurrent_dropout: Fraction of h to drop where it is multiplied by `recurrent_kernel`, in
            [0, 1).
        seed: Random seed of the dropout masks.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or "last_feature"
            if the last input feature is the elapsed time; by default that of `cell`.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`; by default `dtype` is
            that of `cell`.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: List of the memory (batch, size) and the states of the cell.
        elapsed: Optional elapsed time that replaces the cell's own: a number, (batch,) or
            (batch, 1).
        training: Whether to apply dropout, with one mask per sequence.

    Returns:
        The output of the cell, and the list of the new memory and states.

    Raises:
        ValueError: `cell` is not a cell of `lnn_keras`, takes elapsed time from its own last
            feature, or has dropout; `dtype` differs from that of the cell; invalid `elapsed`; a
            dropout rate not in [0, 1).

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.MixedMemoryCell(lnn_keras.CfCCell(32)))
    ```

    Reference: Lechner and Hasani, Learning Long-Term Dependencies in Irregularly-Sampled
    Time Series, 2020.
    """

    def __init__(
        self,
        cell: ContinuousTimeCell,
        forget_bias: float = 1.0,
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
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
        elapsed: float | str | None = None,
        **kwargs,
    ):
        _require_inner_cell(cell)
        sizes = as_list(cell.state_size)
        kwargs.setdefault("dtype", cell.dtype_policy)
        super().__init__(
            [sum(sizes), *sizes],
            cell.output_size,
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
            elapsed=cell.elapsed if elapsed is None else elapsed,
            **kwargs,
        )
        if self.dtype_policy.name != cell.dtype_policy.name:
            raise ValueError(
                f"`dtype` must be that of the inner cell, {cell.dtype_policy.name}; "
                f"received {self.dtype_policy.name}."
            )
        self.cell = cell
        self.forget_bias = forget_bias

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features, size = self.features_of(input_shape), self.state_size[0]
        self.kernel = self.add_kernel("kernel", features, 4 * size)
        self.recurrent_kernel = self.add_recurrent_kernel("recurrent_kernel", size, 4 * size)
        self.bias = self.add_bias("bias", 4 * size)
        if not self.cell.built:
            self.cell.build((None, size))
        self.built = True

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The input's part of the gates: (..., features) -> (..., 4 size)."""
        return dense(inputs, self.kernel, self.bias)

    def advance(
        self,
        projected: Tensor,
        states: Any,
        elapsed: float | Tensor,
        constants: Sequence[Tensor] | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """Update the memory, then advance the cell: -> (output, [c, *its states])."""
        memory, *inner = states
        h = masked(ops.concatenate(inner, axis=-1), *(constants or ()))
        a, i, f, o = self._gates(projected, h)
        memory = f * memory + i * a
        inner_inputs = self.cell.project(o * ops.tanh(memory), training=training)
        output, inner = self.cell.advance(inner_inputs, inner, elapsed, training=training)
        return output, [memory, *inner]

    def _gates(self, projected, h):
        """The candidate, and the input, forget and output gates of the memory."""
        gates = projected + ops.matmul(h, self.recurrent_kernel)
        a, i, f, o = ops.split(gates, 4, axis=-1)
        return ops.tanh(a), ops.sigmoid(i), ops.sigmoid(f + self.forget_bias), ops.sigmoid(o)

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """ "input_gate", "forget_gate" and "output_gate" of the memory; those of the inner cell.

        The names of the inner cell's start with "cell_" where the gates have the same name.
        """
        memory, *inner = states
        projected = self.project(features)
        a, i, f, o = self._gates(projected, ops.concatenate(inner, axis=-1))
        gates = {"input_gate": i, "forget_gate": f, "output_gate": o}
        found = self.cell.quantities(o * ops.tanh(f * memory + i * a), inner, elapsed)
        inner_found = {f"cell_{name}" if name in gates else name: found[name] for name in found}
        return {**gates, **inner_found}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "forget_bias": self.forget_bias,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MixedMemoryCell":
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})


def _require_inner_cell(cell: Any) -> None:
    """Check the `cell` argument of MixedMemoryCell."""
    if not isinstance(cell, ContinuousTimeCell):
        raise ValueError(f"`cell` must be a cell of lnn_keras; received {cell!r}.")
    if not isinstance(cell.elapsed, float):
        raise ValueError('Give elapsed="last_feature" to MixedMemoryCell, not to the inner cell.')
    if cell.dropout or cell.recurrent_dropout:
        raise ValueError(
            "Give `dropout` and `recurrent_dropout` to MixedMemoryCell, not to the inner cell."
        )
