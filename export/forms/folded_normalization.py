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

from export.forms.supported_layers import calls_of

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


def foldable_layers(
    functional: keras.Model,
) -> tuple[dict[int, keras.layers.Layer], dict[int, keras.layers.Layer]]:
    """Find the affine layers at a model's inputs and outputs.

    Returns:
        By position of the input: its only reader, if that is an affine layer. By position of
        the output: the affine layer that computes it, if nothing else reads the output.
    """
    calls, outputs = calls_of(functional)

    def readers(tensor):
        return [call.layer for call in calls if any(read is tensor for read in call.inputs)]

    first, last = {}, {}
    for position, tensor in enumerate(functional.inputs):
        layers = readers(tensor)
        if len(layers) == 1 and len(tensor.shape) == 3 and _is_foldable(layers[0]):
            first[position] = layers[0]
    for position, tensor in enumerate(outputs):
        (producer,) = [c.layer for c in calls if any(output is tensor for output in c.outputs)]
        read_once = sum(output is tensor for output in outputs) == 1 and not readers(tensor)
        if read_once and _is_foldable(producer) and producer not in first.values():
            last[position] = producer
    return first, last


def scaling_of_input(layer: keras.layers.Layer, features: int) -> Scaling:
    """Return the scaling of an input whose layer turns real values into the file's values."""
    slope, intercept = _slope_and_intercept(layer, features)
    return Scaling(1 / slope, -intercept / slope)


def scaling_of_output(layer: keras.layers.Layer, features: int) -> Scaling:
    """Return the scaling of an output whose layer turns the file's values into real values."""
    return Scaling(*_slope_and_intercept(layer, features))


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
