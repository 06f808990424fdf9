"""The recurrent layer of a preset's model: a liquid one, or a stock one as a baseline."""

from zoo.argument_checks import require_choice
from zoo.training.arrays import Tensor

LIQUID_CELLS = ("liquid", "cfc", "stack")
STOCK_CELLS = ("lstm", "gru")
CELLS = (*LIQUID_CELLS, *STOCK_CELLS)
# Blocks of a stack.
BLOCKS = 2


def require_cell(cell: str) -> str:
    """Return the name of a cell.

    Raises:
        ValueError: It is not one of `CELLS`.
    """
    return require_choice("cell", cell, CELLS)


def recurrent(
    inputs: Tensor,
    cell: str,
    units: int,
    elapsed: Tensor | None = None,
    unfolds: int = 1,
    return_sequences: bool = True,
    backbone_units: int = 128,
) -> Tensor:
    """Pass sequences through a recurrent layer.

    Args:
        inputs: Tensor (batch, time, features).
        cell: "liquid", "cfc", "lstm" or "gru", which is also the name of the layer; or "stack" for
            two blocks of a diagonal liquid cell, whose width is half of `units`.
        units: Number of neurons, of each block.
        elapsed: Tensor (batch, time) of elapsed times. A stock layer gets it as a feature.
        unfolds: Solver steps of a "liquid" cell or a "stack" per time step.
        return_sequences: Whether to return the outputs of all steps or only the last one.
        backbone_units: Width of the backbone of a "cfc" cell.

    Returns:
        Tensor (batch, time, units) or (batch, units), of a stack with half of the units.
    """
    import keras

    from lnn_keras import CfCCell, LiquidCell, LiquidRNN

    if cell == "stack":
        return _stack(inputs, units, elapsed, unfolds, return_sequences)
    if cell in STOCK_CELLS:
        if elapsed is not None:
            inputs = keras.ops.concatenate([inputs, elapsed[..., None]], axis=-1)
        layer_class = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
        return layer_class(units, return_sequences=return_sequences, name=cell)(inputs)
    if cell == "liquid":
        # The initial values from which the published weights were trained, so that a recipe gives
        # them again. They were the defaults of LiquidCell at that time. As a config, since objects
        # draw their seeds when they are created, and the order of the draws decides the values.
        liquid = LiquidCell(
            units,
            unfolds=unfolds,
            kernel_initializer="glorot_uniform",
            recurrent_initializer="orthogonal",
            bias_initializer="zeros",
            tau_initializer="ones",
            reversal_initializer={
                "class_name": "RandomUniform",
                "config": {"minval": -1.0, "maxval": 1.0},
            },
        )
    else:
        liquid = CfCCell(units, backbone_units=backbone_units)
    layer = LiquidRNN(liquid, return_sequences=return_sequences, name=cell)
    return layer(inputs) if elapsed is None else layer(inputs, elapsed=elapsed)


def _stack(
    inputs: Tensor, units: int, elapsed: Tensor | None, unfolds: int, return_sequences: bool
) -> Tensor:
    import keras

    from lnn_keras import LiquidBlock

    x: Tensor = keras.layers.Dense(units // 2, name="encode")(inputs)
    for number in range(BLOCKS):
        block = LiquidBlock(
            units // 2,
            units,
            elapsed=1.0 if elapsed is None else "input",
            # The form for integer files.
            solver="semi_implicit",
            unfolds=unfolds,
            name=f"block_{number}",
        )
        x = block(x) if elapsed is None else block([x, elapsed])
    return x if return_sequences else x[:, -1]
