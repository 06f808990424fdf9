"""The recurrent layers of a model, by name."""

from typing import Any

import keras

from lnn_keras.compat import children_of, parts_of


def recurrent_layers(model: keras.layers.Layer) -> dict[str, Any]:
    """The layers of a model that apply a cell to sequences, by name.

    The names of the models and layers around a layer come first, as in "encoder/rnn"; that of the
    model itself does not.

    Raises:
        ValueError: There is none.
    """
    if _is_recurrent(model):
        return {model.name: model}
    found: dict[str, Any] = {}
    _collect(model, "", set(), found)
    if found:
        return found
    kinds = sorted({type(part).__name__ for part in parts_of(model)} - {type(model).__name__})
    raise ValueError(
        f"{type(model).__name__} {model.name!r} has no recurrent layer to look into; it has "
        f"{', '.join(kinds) or 'no layers'}. Layers that can be looked into: LiquidRNN and "
        "keras.layers.RNN with cells of lnn_keras (states, gates, time constants), and other RNN "
        "layers, for instance GRU and LSTM (states)."
    )


def _collect(layer, prefix, visited, found):
    for child in children_of(layer):
        if id(child) in visited:
            continue
        visited.add(id(child))
        if _is_recurrent(child):
            found[unused(prefix + child.name, found)] = child
        else:
            _collect(child, f"{prefix}{child.name}/", visited, found)


def _is_recurrent(layer):
    # The states of convolutional ones are images.
    return isinstance(layer, keras.layers.RNN) and "Conv" not in type(layer).__name__


def unused(name: str, taken: Any, separator: str = "_") -> str:
    """The name, or the first of name_2, name_3, ... that is not taken."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}{separator}{number}"
    return candidate
