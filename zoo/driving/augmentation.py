"""Augmentation of grey pictures: noise, brightness and contrast, each constant over a sequence."""

from typing import Any

import keras
from keras import ops

from zoo.data.car_racing_env import PIXELS
from zoo.training.arrays import Tensor

BRIGHTNESS, CONTRAST = 0.1, 0.2
MAX_NOISE = 0.25


class PictureAugmentation(keras.layers.Layer):
    """Scales greys from 0-255 to 0-1, and augments them in training.

    Each sequence has its own brightness, contrast and standard deviation of the noise.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._seeds = keras.random.SeedGenerator()

    def call(self, pictures: Tensor, training: bool = False) -> Tensor:
        """Greys (batch, time, pixels) from 0 to 255 -> greys from 0 to 1 of the same shape."""
        greys: Tensor = ops.cast(pictures, "float32")
        greys = greys / 255
        if not training:
            return greys
        shape: Any = ops.shape(greys)
        per_sequence = (shape[0], 1, 1)
        contrast = self._uniform(per_sequence, 1 - CONTRAST, 1 + CONTRAST)
        brightness = self._uniform(per_sequence, -BRIGHTNESS, BRIGHTNESS)
        greys = (greys - 0.5) * contrast + 0.5 + brightness
        noise = keras.random.normal(shape, seed=self._seeds)
        return ops.clip(greys + self._uniform(per_sequence, 0, MAX_NOISE) * noise, 0, 1)

    def _uniform(self, shape: Any, low: float, high: float) -> Tensor:
        return keras.random.uniform(shape, low, high, seed=self._seeds)


def with_augmentation(driver: keras.Model) -> keras.Model:
    """A model with the same weights that takes greys from 0 to 255, augmented in training."""
    pictures = keras.Input((None, PIXELS), dtype="uint8", name="pictures")
    return keras.Model(pictures, driver(PictureAugmentation()(pictures)))
