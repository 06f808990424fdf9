"""Bidirectional: a layer forwards and backwards in time, with elapsed times."""

from collections.abc import Sequence
from typing import Any

import keras

from lnn_keras import elapsed as elapsed_time
from lnn_keras.layers.liquid_rnn import LiquidRNN
from lnn_keras.tensors import Tensor, ops


@keras.saving.register_keras_serializable(package="lnn_keras")
class Bidirectional(keras.layers.Bidirectional):
    """`keras.layers.Bidirectional` of a `LiquidRNN`, with elapsed time as a call argument.

    `keras.layers.Bidirectional` takes no `elapsed`. It does take a `LiquidRNN` of a cell with
    elapsed="last_feature". Both give the same results: the backward layer takes the elapsed times
    of the reversed series (`lnn_keras.elapsed.backwards`).

    Args:
        layer: A `LiquidRNN`.
        merge_mode: "concat", "sum", "mul", "ave", or None for a pair of outputs.
        backward_layer: A `LiquidRNN` with `go_backwards`; by default a copy of `layer`.
        **kwargs: Other arguments of `keras.layers.Bidirectional`.

    Call arguments:
        sequences: (batch, time, features).
        initial_state: Optional list of the states of both layers.
        mask: Optional booleans (batch, time). A masked step keeps the states.
        training: Whether dropout is active.
        elapsed: Optional elapsed times (batch, time) or (batch, time, 1), or one number for all
            steps. Keyword only. By default the cell's own.

    Returns:
        The outputs of `keras.layers.Bidirectional`.

    Raises:
        ValueError: `layer` or `backward_layer` is not a `LiquidRNN`; `elapsed` has another shape
            or a value that is negative or not finite.

    Example:

    ```python
    layer = lnn_keras.Bidirectional(lnn_keras.LiquidRNN(lnn_keras.CfCCell(32)))
    outputs = layer(x, elapsed=elapsed)    # (batch, 64)
    ```

    Reference: Schuster and Paliwal, Bidirectional recurrent neural networks, 1997.
    """

    def __init__(
        self,
        layer: LiquidRNN,
        merge_mode: str | None = "concat",
        backward_layer: LiquidRNN | None = None,
        **kwargs,
    ):
        for name, value in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(value, LiquidRNN) and (value is not None or name == "layer"):
                raise ValueError(
                    f"`{name}` must be a LiquidRNN; received {type(value).__name__}. "
                    "Use keras.layers.Bidirectional for other layers."
                )
        options: Any = {"dtype": layer.dtype_policy, "merge_mode": merge_mode, **kwargs}
        super().__init__(layer, backward_layer=backward_layer, **options)

    @property
    def input_dtype(self) -> str:
        """The dtype of inputs: elapsed times need float32."""
        return self.forward_layer.input_dtype

    def build(
        self,
        sequences_shape: Sequence[int | None],
        initial_state_shape: Any = None,
        *,
        elapsed_shape: Any = None,
    ) -> None:
        super().build(sequences_shape)

    def compute_output_shape(
        self,
        sequences_shape: Sequence[int | None],
        initial_state_shape: Any = None,
        *,
        elapsed_shape: Any = None,
    ) -> Any:
        return super().compute_output_shape(sequences_shape, initial_state_shape)

    def call(
        self,
        sequences: Tensor,
        initial_state: Any = None,
        mask: Tensor | None = None,
        training: bool | None = None,
        *,
        elapsed: Tensor | float | None = None,
    ) -> Any:
        if elapsed is None:
            return super().call(sequences, initial_state, mask=mask, training=training)
        sequences = elapsed_time.append(ops.cast(sequences, self.input_dtype), elapsed)
        with elapsed_time.with_appended():
            return super().call(sequences, initial_state, mask=mask, training=training)
