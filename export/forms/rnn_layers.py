"""RNN layers: their cells, and copies of a layer with another cell."""

from collections.abc import Callable, Iterator
from typing import Any

import keras

import lnn_keras
from export.compat import replace_sublayer
from lnn_keras import LiquidRNN
from lnn_keras.layers.cell_step import accepts

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
    if isinstance(layer, keras.layers.Bidirectional):
        parts = (layer.forward_layer, layer.backward_layer)
        exported = [exported_layer(part) for part in parts]
        is_same = all(new is part for new, part in zip(exported, parts, strict=True))
        return layer if is_same else bidirectional_with(layer, *exported)
    is_graph = isinstance(layer, keras.Model) and getattr(layer, "inputs", None)
    if is_graph and any(exported_layer(inner) is not inner for inner in layer.layers):
        return with_layers(layer, exported_layer)
    return getattr(layer, "exported", layer)


def bidirectional_with(layer: Any, forward: Any, backward: Any) -> keras.layers.Bidirectional:
    """Return a Bidirectional layer with the same name and arguments, and other inner layers.

    Args:
        layer: The Bidirectional layer to copy.
        forward: The new forward layer; its weights are shared if it is built.
        backward: The new backward layer; its weights are shared if it is built.
    """
    timed = isinstance(layer, lnn_keras.Bidirectional)
    kind = lnn_keras.Bidirectional if timed else keras.layers.Bidirectional
    copy = kind(forward, merge_mode=layer.merge_mode, backward_layer=backward, name=layer.name)
    # Keras takes a copy of the forward layer, which has its own weights.
    replace_sublayer(copy, "forward_layer", forward)
    return copy


def with_layers(model: keras.Model, replace: Callable) -> keras.Model:
    """Return a Functional model with other layers in the graph of a model. It is not compiled.

    Args:
        model: The Sequential or Functional model.
        replace: Function from a layer, or an operation of the graph, to the one in its place.
    """

    def call(layer, *args, **kwargs):
        # The graph records `training` in calls of layers that behave differently in training.
        kwargs.pop("training", None)
        if not accepts(layer.call, "mask"):
            kwargs.pop("mask", None)
        return layer(*args, **kwargs)

    return keras.models.clone_model(functional(model), clone_function=replace, call_function=call)


def functional(model: keras.Model) -> keras.Model:
    """Return the graph of a Sequential or Functional model as a model that is not compiled.

    Keras compiles a clone as its model, which fails for a loss function that is not registered.
    """
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return keras.Model(model.input, model.output, name=model.name)


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
