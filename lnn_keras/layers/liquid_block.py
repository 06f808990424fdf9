"""LiquidBlock: a residual block around a liquid cell whose neurons do not mix."""

from typing import Any

import keras

from lnn_keras.argument_checks import require_at_least, require_fraction
from lnn_keras.cells.diagonal_liquid import DiagonalLiquidCell
from lnn_keras.elapsed import LAST_FEATURE
from lnn_keras.layers.liquid_rnn import LiquidRNN

# The value of `elapsed` that gives a block a second input.
INPUT = "input"


@keras.saving.register_keras_serializable(package="lnn_keras")
class LiquidBlock(keras.Model):
    """A residual block of normalization, a diagonal liquid cell, and a gated linear unit.

        h = DiagonalLiquidCell(normalize(x), elapsed)
        y = x + dropout((V h + b) * sigmoid(U h + c))

    The dense layers V and U mix the neurons, which the cell does not. It is a Functional model of
    Keras layers, which can be a layer of another model, trained, compressed and exported.

    Args:
        width: Number of features of the input and of the output.
        units: Number of neurons of the cell; by default 2 width.
        dropout: Fraction of the gated values to drop, in [0, 1).
        elapsed: Elapsed time per step: a number, or "input" for a second input (batch, time).
        solver: "exact" or "semi_implicit"; see `DiagonalLiquidCell`.
        unfolds: Solver steps of "semi_implicit" per step.
        parallel: How `LiquidRNN` computes the steps: "auto", "scan" or None.
        stateful: Whether the cell keeps its state between batches.
        name: Name of the model.
        **kwargs: Other arguments of the cell, for instance `tau_initializer`.

    Call arguments:
        inputs: (batch, time, width); with elapsed="input" a list of it and (batch, time).
        training: Whether to apply dropout.

    Returns:
        (batch, time, width).

    Raises:
        ValueError: `width` or `units` below 1, `dropout` not in [0, 1), or an argument that
            `DiagonalLiquidCell` or `LiquidRNN` refuses.

    Example:

    ```python
    x = keras.Input((None, 8))
    y = lnn_keras.LiquidBlock(32)(keras.layers.Dense(32)(x))
    model = keras.Model(x, keras.layers.Dense(1)(y))
    ```

    References: Gu et al., Efficiently modeling long sequences with structured state spaces, ICLR
    2022 (the block); Smith et al., Simplified state space layers for sequence modeling, ICLR 2023.
    """

    def __init__(
        self,
        width: int,
        units: int | None = None,
        dropout: float = 0.0,
        elapsed: float | str = 1.0,
        solver: str = "exact",
        unfolds: int = 1,
        parallel: str | None = "auto",
        stateful: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        width = require_at_least(1, "width", width)
        units = 2 * width if units is None else require_at_least(1, "units", units)
        dropout = require_fraction("dropout", dropout)
        if elapsed == LAST_FEATURE:
            raise ValueError(
                f'`elapsed` of a LiquidBlock must be a number or "input"; received {elapsed!r}.'
            )
        is_timed = elapsed == INPUT
        cell = DiagonalLiquidCell(
            units,
            solver=solver,
            unfolds=unfolds,
            elapsed=1.0 if is_timed else elapsed,
            **kwargs,
        )
        layers = keras.layers
        x: Any = layers.Input((None, width), name="x")
        inputs = [x]
        recurrent = LiquidRNN(
            cell, return_sequences=True, parallel=parallel, stateful=stateful, name="recurrent"
        )
        h: Any = layers.LayerNormalization(name="normalize")(x)
        if is_timed:
            time: Any = layers.Input((None,), name="elapsed")
            inputs.append(time)
            h = recurrent(h, elapsed=time)
        else:
            h = recurrent(h)
        value = layers.Dense(width, name="value")(h)
        gate = layers.Dense(width, activation="sigmoid", name="gate")(h)
        y: Any = layers.Multiply(name="gated")([value, gate])
        if dropout:
            y = layers.Dropout(dropout, name="dropout")(y)
        y = layers.Add(name="residual")([x, y])
        super().__init__(inputs if is_timed else x, y, name=name)  # pyright: ignore[reportCallIssue] # stub: a Functional model's arguments
        self.supports_masking = True
        self._options = {
            "width": width,
            "units": units,
            "dropout": dropout,
            "elapsed": elapsed,
            "solver": solver,
            "unfolds": unfolds,
            "parallel": parallel,
            "stateful": stateful,
            **kwargs,
        }

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**self._options, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "LiquidBlock":
        return cls(**config)
