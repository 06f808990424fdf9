"""RNN layers: their cells, and the same layer with another cell, as a file has it."""

import keras

from lnn_keras import LiquidRNN

RNN_ARGUMENTS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
)


def is_rnn(layer) -> bool:
    """Whether a layer carries a state over time."""
    return isinstance(layer, keras.layers.RNN)


def cells_of(cell):
    """A cell, and the cells within it."""
    yield cell
    for inner in (*getattr(cell, "cells", ()), getattr(cell, "cell", None)):
        if inner is not None:
            yield from cells_of(inner)


def exported_layer(layer):
    """The layer without what serves its training alone, such as quantizers; mostly itself.

    Such a layer or cell has the attribute `exported`: what takes its place in a file.
    """
    if is_rnn(layer) and any(hasattr(cell, "exported") for cell in cells_of(layer.cell)):
        return with_cell(layer, _exported_cell(layer.cell))
    return getattr(layer, "exported", layer)


def _exported_cell(cell):
    if isinstance(cell, keras.layers.StackedRNNCells):
        return keras.layers.StackedRNNCells([_exported_cell(inner) for inner in cell.cells])
    return getattr(cell, "exported", cell)


def with_cell(layer, cell):
    """An RNN layer with the arguments of another one and another cell.

    Args:
        layer: The other layer.
        cell: The cell, which may be built.

    Returns:
        A `LiquidRNN` for a `LiquidRNN`, and a `keras.layers.RNN` for any other layer.
    """
    if isinstance(layer, LiquidRNN):
        return layer.with_cell(cell)
    options = {name: getattr(layer, name) for name in RNN_ARGUMENTS}
    return keras.layers.RNN(cell, name=layer.name, **options)
