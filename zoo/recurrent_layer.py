"""The recurrent layer of a preset's model: a liquid one, or a stock one to compare it with."""

import keras
from keras import ops

from lnn_keras import CfCCell, LiquidCell, LiquidRNN
from lnn_keras.argument_checks import require_choice

LIQUID = ("liquid", "cfc")
STOCK = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
CELLS = (*LIQUID, *STOCK)


def require_cell(cell: str) -> str:
    """Return the name of a cell if there is one of that name.

    Raises:
        ValueError: There is none; the message names those there are.
    """
    return require_choice("cell", cell, CELLS)


def recurrent(
    inputs,
    cell: str,
    units: int,
    elapsed=None,
    unfolds: int = 1,
    return_sequences: bool = True,
    backbone_units: int = 128,
):
    """Pass sequences through a recurrent layer.

    Args:
        inputs: Tensor (batch, time, features).
        cell: "liquid", "cfc", "lstm" or "gru"; the layer takes its name.
        units: Its units.
        elapsed: Tensor (batch, time) of elapsed times; a feature of a stock layer.
        unfolds: Solver steps of a "liquid" cell for each step.
        return_sequences: Whether every step has an output, or the last one alone.
        backbone_units: Width of the backbone of a "cfc" cell.

    Returns:
        Tensor (batch, time, units) or (batch, units).
    """
    if cell in STOCK:
        if elapsed is not None:
            inputs = ops.concatenate([inputs, elapsed[..., None]], axis=-1)
        return STOCK[cell](units, return_sequences=return_sequences, name=cell)(inputs)
    if cell == "liquid":
        made = LiquidCell(units, unfolds=unfolds)
    else:
        made = CfCCell(units, backbone_units=backbone_units)
    layer = LiquidRNN(made, return_sequences=return_sequences, name=cell)
    return layer(inputs) if elapsed is None else layer(inputs, elapsed=elapsed)
