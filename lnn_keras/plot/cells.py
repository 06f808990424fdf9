"""The cell that a figure is about: of a layer, or of a model with one recurrent layer."""

from typing import Any

import keras


def cell_of(source: Any, figure: str) -> Any:
    """The cell of a cell, a recurrent layer, or a model with one recurrent layer.

    Args:
        source: The cell, layer or model.
        figure: The name of the function that draws it, for messages.

    Raises:
        ValueError: There is no cell, or more than one.
    """
    if isinstance(source, keras.layers.RNN):
        source = source.cell
    if _is_cell(source):
        if isinstance(source, keras.layers.StackedRNNCells):
            kinds = ", ".join(type(cell).__name__ for cell in source.cells)
            raise ValueError(
                f"{figure} draws one cell; received {len(source.cells)} stacked ones: {kinds}. "
                "Give one of its `cells`."
            )
        return source
    layers = recurrent_layers(source) if isinstance(source, keras.layers.Layer) else {}
    if len(layers) == 1:
        return cell_of(next(iter(layers.values())), figure)
    found = ", ".join(repr(name) for name in layers)
    if layers:
        raise ValueError(
            f"{figure} draws one cell; {source.name!r} has {len(layers)} recurrent layers: "
            f"{found}. Give one of them."
        )
    raise ValueError(
        f"{figure} draws a cell, a recurrent layer (LiquidRNN, keras.layers.RNN) or a model with "
        f"one; received {type(source).__name__}, which has none."
    )


def recurrent_layers(layer: Any, path: str = "") -> dict[str, Any]:
    """The recurrent layers with a cell within a layer or model, by their path of names."""
    path = f"{path}/{layer.name}" if path else layer.name
    if isinstance(layer, keras.layers.RNN):
        return {path: layer}
    if isinstance(layer, keras.layers.Bidirectional):
        inner = [layer.forward_layer, layer.backward_layer]
    elif isinstance(layer, keras.layers.Wrapper):
        inner = [layer.layer]
    else:
        inner = layer._flatten_layers(include_self=False, recursive=False)
    found: dict[str, Any] = {}
    for part in inner:
        found.update(recurrent_layers(part, path))
    return found


def _is_cell(source: Any) -> bool:
    return isinstance(source, keras.layers.Layer) and hasattr(source, "state_size")
