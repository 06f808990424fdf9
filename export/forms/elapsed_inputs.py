"""Inputs of a model that RNN layers read as elapsed times, which are at least 0."""

from typing import Any

import keras
import numpy as np

from export.forms.model_graph import ModelGraph, Value, values_of
from export.forms.refusals import rnn_arguments
from export.forms.rnn_layers import cells_of, is_rnn
from lnn_keras.elapsed import LAST_FEATURE


def require_elapsed(graph: ModelGraph, arrays: dict[str, np.ndarray], argument: str) -> None:
    """Raise a ValueError if elapsed times are below 0.

    Args:
        graph: The graph of the model. An input counts if an RNN layer reads it as `elapsed`, as it
            is or scaled by a positive number, or reads its last feature as elapsed time.
        arrays: The data by the names of the graph's inputs.
        argument: Name of the data in errors.
    """
    last_features = _read_values(graph)
    for name, value in graph.inputs.items():
        if id(value) not in last_features:
            continue
        array = arrays[name]
        times = array[..., -1:] if last_features[id(value)] else array
        wrong = np.argwhere(times < 0)
        if len(wrong):
            batch, step = (int(i) for i in wrong[0][:2])
            raise ValueError(
                f"`{argument}` for input {name!r}: elapsed times must be at least 0; {len(wrong)} "
                f"are not, the first at (batch, time) {(batch, step)}: {times[tuple(wrong[0])]}."
            )


def _read_values(graph: ModelGraph) -> dict[int, bool]:
    """By `id` of a tensor that RNN layers read as elapsed time: whether only its last feature."""
    found = {}
    for call in graph.calls:
        if not is_rnn(call.layer):
            continue
        arguments = rnn_arguments(call.layer, call.args, call.kwargs)
        for value in values_of(arguments.get("elapsed")):
            found[id(_unscaled(graph, value))] = False
        takes_last = any(
            getattr(cell, "elapsed", None) == LAST_FEATURE for cell in cells_of(call.layer.cell)
        )
        if takes_last and arguments.get("elapsed") is None:
            found.setdefault(id(next(iter(values_of(arguments["sequences"])))), True)
    return found


def _unscaled(graph: ModelGraph, value: Value) -> Value:
    """The tensor that a chain of positive factors starts from."""
    makers = {id(output): call for call in graph.calls for output in call.outputs}
    while id(value) in makers:
        call = makers[id(value)]
        if len(call.inputs) != 1 or not _is_positive_factor(call.layer, call.args):
            return value
        (value,) = call.inputs
    return value


def _is_positive_factor(layer: Any, args: tuple[Any, ...]) -> bool:
    if isinstance(layer, keras.layers.Rescaling):
        return bool(np.all(np.asarray(layer.scale) > 0) and np.all(np.asarray(layer.offset) == 0))
    factors = [argument for argument in args if isinstance(argument, int | float)]
    return type(layer).__name__ == "Multiply" and len(factors) == 1 and factors[0] > 0
