"""Normalization at a model's inputs and outputs, folded into per-feature scales of the file.

An int8 tensor has one scale, so a feature with a small range loses its resolution next to one
with a large range. If a model starts with normalization or ends with denormalization, the layer
is left out of an integer file. The device applies it when it quantizes inputs and dequantizes
outputs, at no extra cost.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from export.forms.model_graph import ModelGraph
from export.forms.time_axis import TimeAxis

_AFFINE_LAYERS = (keras.layers.Normalization, keras.layers.Rescaling)


@dataclass(frozen=True)
class Scaling:
    """real = scale * value + offset per feature; `value` is a value of the file."""

    scale: np.ndarray
    offset: np.ndarray

    def to_real(self, values: np.ndarray) -> np.ndarray:
        """Convert the file's values to real values."""
        return (values * self.scale + self.offset).astype("float32")

    def to_values(self, real: np.ndarray) -> np.ndarray:
        """Convert real values to the file's values."""
        return ((real - self.offset) / self.scale).astype("float32")


def folded_layers(graph: ModelGraph, axis: TimeAxis) -> tuple[dict[str, Scaling], set[int]]:
    """Find the affine layers at a model's inputs and outputs.

    An input's layer is its only reader; an output's layer computes it, and nothing else reads it.

    Returns:
        The scalings by name of an input or output, and the `id` of the calls that they replace.
    """
    scalings, folded = {}, set()
    for name, value in graph.inputs.items():
        readers = graph.readers(value)
        if len(readers) == 1 and len(value.shape) == 3 and _is_foldable(readers[0].layer):
            slope, intercept = _slope_and_intercept(readers[0].layer, value.shape[-1])
            scalings[name] = Scaling(1 / slope, -intercept / slope)
            folded.add(id(readers[0]))
    outputs = list(graph.outputs.values())
    for name, value in graph.outputs.items():
        producer = next((c for c in graph.calls if any(v is value for v in c.outputs)), None)
        is_read_once = outputs.count(value) == 1 and not graph.readers(value)
        rank = 3 if axis.is_sequence(value) else 2
        if producer is None or id(producer) in folded or len(value.shape) != rank:
            continue
        if is_read_once and _is_foldable(producer.layer):
            scalings[name] = Scaling(*_slope_and_intercept(producer.layer, value.shape[-1]))
            folded.add(id(producer))
    return scalings, folded


def _is_foldable(layer):
    if type(layer) not in _AFFINE_LAYERS:
        return False
    # A slope of 0 or infinity has no inverse.
    slope, _ = _slope_and_intercept(layer, 1)
    return bool(np.all(np.isfinite(slope)) and np.all(slope != 0))


def _slope_and_intercept(layer, features):
    """Slope and intercept of y = slope x + intercept, float64, each (features,)."""
    if isinstance(layer, keras.layers.Rescaling):
        slope, intercept = np.asarray(layer.scale, "float64"), np.asarray(layer.offset, "float64")
    else:
        mean, variance = _as_vector(layer.mean), _as_vector(layer.variance)
        deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
        slope, intercept = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    size = max(features, slope.size, intercept.size)
    return np.broadcast_to(slope.reshape(-1), size), np.broadcast_to(intercept.reshape(-1), size)


def _as_vector(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor), "float64").reshape(-1)
