"""Adaptive readouts in a model's graph: the inputs that hold targets, which may be missing."""

from typing import Any

import numpy as np

from export.forms.model_graph import ModelGraph, values_of
from export.forms.rnn_layers import is_rnn
from lnn_keras.adapt.linear_method import LARGEST
from lnn_keras.adapt.readout_cell import AdaptiveReadoutCell

# Stands for a missing target in data and on devices, where NaN would not pass checks. Its sign
# differs from that of a prediction that was not made, so that their difference is large too.
MISSING = -10 * LARGEST


def is_adaptive(layer: Any) -> bool:
    """Return whether a layer is an adaptive readout; its first state holds what it learned."""
    return is_rnn(layer) and isinstance(layer.cell, AdaptiveReadoutCell)


def target_inputs(graph: ModelGraph) -> frozenset[str]:
    """Return the names of the inputs that an adaptive readout reads as targets."""
    makers = {id(output): call for call in graph.calls for output in call.outputs}
    targets = set()
    for call in graph.calls:
        maker = makers.get(id(call.inputs[0])) if is_adaptive(call.layer) else None
        if maker is not None:
            # Features, predictions and targets are joined in this order.
            targets.add(id(list(values_of((maker.args, maker.kwargs)))[-1]))
    return frozenset(name for name, value in graph.inputs.items() if id(value) in targets)


def delay_of(graph: ModelGraph) -> int | None:
    """Return the delay of a model's adaptive readout in steps, or None if it has none."""
    return next((call.layer.cell.delay for call in graph.calls if is_adaptive(call.layer)), None)


def marked_missing(targets: np.ndarray) -> np.ndarray:
    """Return targets with `MISSING` in the place of NaN and infinities."""
    return np.where(np.isfinite(targets), targets, np.asarray(MISSING, targets.dtype))
