"""LiquidStack: a model of liquid blocks from features to outputs."""

from typing import Any

import keras

from lnn_keras.argument_checks import require_at_least, require_fraction
from lnn_keras.layers.liquid_block import INPUT, LiquidBlock
from lnn_keras.tensors import ops


@keras.saving.register_keras_serializable(package="lnn_keras")
class LiquidStack(keras.Model):
    """Liquid blocks between two dense layers, for sequences of any length.

        x = W inputs + b
        x = pool(block(x, elapsed))        for each block
        y = V x + c

    With a stride of k, a block is followed by the mean of every k steps, so the next one reads k
    times fewer steps; elapsed times add up. Steps at the end that do not fill a mean are dropped.
    A file that takes one step at a time has no strides.

    Args:
        features: Number of features of the input.
        outputs: Number of outputs.
        blocks: Number of blocks.
        width: Number of features between the blocks.
        units: Number of neurons of each block's cell; by default 2 width.
        strides: Steps per mean after each block: one number per block; by default 1.
        dropout: Fraction of each block's change to drop, in [0, 1).
        elapsed: Elapsed time per step: a number, or "input" for a second input (batch, time).
        return_sequences: Whether to return the outputs of all steps or only the last one. For
            sequences with padding at the end, return all and choose the last valid one.
        name: Name of the model.
        **kwargs: Other arguments of `LiquidBlock`, for instance `solver` and `stateful`.

    Call arguments:
        inputs: (batch, time, features); with elapsed="input" a list of it and (batch, time).
        training: Whether to apply dropout.

    Returns:
        (batch, time, outputs), with time divided by the strides; or (batch, outputs).

    Raises:
        ValueError: A number below 1, another number of strides than blocks, or an argument that
            `LiquidBlock` refuses.

    Example:

    ```python
    model = lnn_keras.LiquidStack(features=2, outputs=5, blocks=3, width=48, strides=(4, 4, 1))
    ```
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        blocks: int = 2,
        width: int = 48,
        units: int | None = None,
        strides: tuple[int, ...] | list[int] | None = None,
        dropout: float = 0.0,
        elapsed: float | str = 1.0,
        return_sequences: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        features = require_at_least(1, "features", features)
        outputs = require_at_least(1, "outputs", outputs)
        blocks = require_at_least(1, "blocks", blocks)
        strides = [1] * blocks if strides is None else list(strides)
        if len(strides) != blocks:
            raise ValueError(
                f"`strides` needs one number per block, so {blocks}; received {len(strides)}: "
                f"{strides!r}."
            )
        strides = [require_at_least(1, "strides", stride) for stride in strides]
        dropout = require_fraction("dropout", dropout)
        is_timed = elapsed == INPUT
        layers = keras.layers
        x: Any = layers.Input((None, features), name="inputs")
        inputs, times = [x], None
        if is_timed:
            times = layers.Input((None,), name="elapsed")
            inputs.append(times)
        y: Any = layers.Dense(require_at_least(1, "width", width), name="encode")(x)
        interval = elapsed
        for i, stride in enumerate(strides):
            block = LiquidBlock(width, units, dropout, interval, name=f"block_{i}", **kwargs)
            y = block([y, times]) if is_timed else block(y)
            if stride > 1:
                y = layers.AveragePooling1D(stride, name=f"pool_{i}")(y)
                if is_timed:
                    times = _summed(times, stride, f"pool_elapsed_{i}")
                elif not isinstance(interval, str):
                    interval = interval * stride
        if not return_sequences:
            y = y[:, -1]
        y = layers.Dense(outputs, name="readout")(y)
        super().__init__(inputs if is_timed else x, y, name=name)  # pyright: ignore[reportCallIssue] # stub: a Functional model's arguments
        self.supports_masking = True
        self._options = {
            "features": features,
            "outputs": outputs,
            "blocks": blocks,
            "width": width,
            "units": units,
            "strides": strides,
            "dropout": dropout,
            "elapsed": elapsed,
            "return_sequences": return_sequences,
            **kwargs,
        }

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**self._options, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "LiquidStack":
        return cls(**config)


def _summed(times, stride, name):
    """The elapsed times (batch, time) of every `stride` steps together."""
    pooled = keras.layers.AveragePooling1D(stride, name=name)(ops.expand_dims(times, -1))
    return stride * ops.squeeze(pooled, -1)
