"""Scaling of a model's ends: normalization that a device does as it reads and writes numbers.

One scale serves all features of an int8 tensor, so a feature that varies little
beside one that varies much would be lost. Where a model begins by normalizing its
features, or ends by undoing that, an integer file leaves this to the scales by
which each feature's numbers are read and written, at no cost on the device.
"""

from dataclasses import dataclass

import keras
import numpy as np

from export.forms.supported_layers import calls_of

_AFFINE_LAYERS = (keras.layers.Normalization, keras.layers.Rescaling)


@dataclass(frozen=True)
class Scaling:
    """real = scale * value + offset, for each feature; value is what the file sees."""

    scale: np.ndarray
    offset: np.ndarray

    def to_real(self, values: np.ndarray) -> np.ndarray:
        """What the file sees -> real values."""
        return (values * self.scale + self.offset).astype("float32")

    def to_values(self, real: np.ndarray) -> np.ndarray:
        """Real values -> what the file sees."""
        return ((real - self.offset) / self.scale).astype("float32")


def foldable_layers(functional: keras.Model) -> tuple[dict, dict]:
    """The layers at a model's ends that are but a scaling.

    Returns:
        The layers that alone read an input, and those that make an output that
        nothing else reads: by the position of the input or output.
    """

    calls, outputs = calls_of(functional)

    def readers(tensor):
        return [call.layer for call in calls if any(read is tensor for read in call.inputs)]

    first, last = {}, {}
    for position, tensor in enumerate(functional.inputs):
        found = readers(tensor)
        if len(found) == 1 and len(tensor.shape) == 3 and _is_scaling(found[0]):
            first[position] = found[0]
    for position, tensor in enumerate(outputs):
        (maker,) = [call.layer for call in calls if any(made is tensor for made in call.outputs)]
        once = sum(output is tensor for output in outputs) == 1 and not readers(tensor)
        if once and _is_scaling(maker) and maker not in first.values():
            last[position] = maker
    return first, last


def scaling_of_input(layer: keras.layers.Layer, features: int) -> Scaling:
    """The scaling that a layer undoes: the layer turns real values into values."""
    slope, intercept = _slope_and_intercept(layer, features)
    return Scaling(1 / slope, -intercept / slope)


def scaling_of_output(layer: keras.layers.Layer, features: int) -> Scaling:
    """The scaling that a layer does: the layer turns values into real values."""
    return Scaling(*_slope_and_intercept(layer, features))


def _is_scaling(layer):
    # A slope of 0 or infinity cannot be undone.
    if type(layer) not in _AFFINE_LAYERS:
        return False
    slope, _ = _slope_and_intercept(layer, 1)
    return bool(np.all(np.isfinite(slope)) and np.all(slope != 0))


def _slope_and_intercept(layer, features):
    """Of y = slope x + intercept, in float64, each (features,)."""
    if isinstance(layer, keras.layers.Rescaling):
        slope, intercept = np.asarray(layer.scale, "float64"), np.asarray(layer.offset, "float64")
    else:
        mean = keras.ops.convert_to_numpy(layer.mean).astype("float64").reshape(-1)
        variance = keras.ops.convert_to_numpy(layer.variance).astype("float64").reshape(-1)
        deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
        slope, intercept = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    size = max(features, slope.size, intercept.size)
    return np.broadcast_to(slope.reshape(-1), size), np.broadcast_to(intercept.reshape(-1), size)
