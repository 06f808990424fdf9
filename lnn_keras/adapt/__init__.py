"""Layers and methods that keep adapting while a model runs."""

from lnn_keras.adapt.running_normalization import RunningNormalization
from lnn_keras.adapt.running_normalization_cell import RunningNormalizationCell

__all__ = ["RunningNormalization", "RunningNormalizationCell"]
