"""RNN layers: their cells, and copies of a layer with another cell."""

from collections.abc import Iterator
from typing import Any

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


def is_rnn(layer: Any) -> bool:
    """Return whether a layer is recurrent."""
    return isinstance(layer, keras.layers.RNN)


def cells_of(cell: Any) -> Iterator[Any]:
    """Yield a cell and, recursively, the cells that it wraps."""
    yield cell
    for inner in (*getattr(cell, "cells", ()), getattr(cell, "cell", None)):
        if inner is not None:
            yield from cells_of(inner)


def exported_layer(layer: Any) -> Any:
    """Return the layer without its training-only parts (quantizers), usually the layer itself.

    A layer or cell with such parts has the attribute `exported`, which replaces it in a file.
    """
    if is_rnn(layer) and any(hasattr(cell, "exported") for cell in cells_of(layer.cell)):
        return with_cell(layer, _exported_cell(layer.cell))
    return getattr(layer, "exported", layer)


def _exported_cell(cell):
    if isinstance(cell, keras.layers.StackedRNNCells):
        return keras.layers.StackedRNNCells([_exported_cell(inner) for inner in cell.cells])
    return getattr(cell, "exported", cell)


def with_cell(layer: keras.layers.Layer, cell: Any) -> keras.layers.RNN:
    """Return an RNN layer with another cell and the same name and arguments.

    Args:
        layer: The RNN layer to copy.
        cell: The new cell; it may be built.

    Returns:
        A `LiquidRNN` for a `LiquidRNN`, and a `keras.layers.RNN` for any other layer.
    """
    if isinstance(layer, LiquidRNN):
        return layer.with_cell(cell)
    options = {name: getattr(layer, name) for name in RNN_ARGUMENTS}
    return keras.layers.RNN(cell, name=layer.name, **options)


def without_state(layer: keras.layers.RNN) -> keras.layers.RNN:
    """Return an RNN layer that starts each call from its initial states, with the same weights."""
    if not layer.stateful:
        return layer
    copied = with_cell(layer, layer.cell)
    copied.stateful = False
    return copied
