"""Laps that a model drives from what it sees: how lane keeping is judged, and how it is trained.

A lap is a track's seed and the standard deviation of the noise on its pictures, whose greys lie
between 0 and 1.
"""

import keras
import numpy as np
from keras import ops

from export import Stepper, to_step
from export.forms.step import NEXT
from zoo.data.car_racing_env import PIXELS, Lap

BRIGHTNESS, CONTRAST = 0.1, 0.2
LARGEST_NOISE = 0.25


class NoisyLap(Lap):
    """A lap whose pictures are noisy; the noise follows from the track and its level."""

    def __init__(self, track: int, noise: float):
        super().__init__(track)
        self._noise = float(noise)
        self._random = np.random.default_rng([int(track), round(1000 * self._noise)])

    def see(self) -> np.ndarray:
        """The picture as a camera gives it: greys 0 to 1, float32 (1024,)."""
        return noisy(self.picture, self._noise, self._random)

    @property
    def result(self) -> tuple[float, float]:
        """The return, and the share of the frames off the track."""
        return self.reward, self.off_track / self.frames


def noisy(pictures: np.ndarray, noise: float, random: np.random.Generator) -> np.ndarray:
    """Greys 0 to 255 as numbers from 0 to 1 with Gaussian noise, which does not lead beyond."""
    spread = noise * random.standard_normal(pictures.shape, "float32")
    return np.clip(pictures.astype("float32") / 255 + spread, 0, 1)


def drive_all(driver: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """What `drive` gives, of a model that drives all laps side by side, those with noise too.

    Raises:
        ValueError: The inputs are not laps, which the split to test on alone holds.
    """
    if not isinstance(inputs, dict):
        raise ValueError("Laps are driven on the tracks of the test split alone.")
    laps = [NoisyLap(*lap) for lap in zip(inputs["track"], inputs["noise"], strict=True)]
    drive_side_by_side(driver, laps, laps)
    return np.array([lap.result for lap in laps])


def drive_side_by_side(driver: keras.Model, laps: list[NoisyLap], told: list) -> None:
    """Let a model see all laps until all are over, and tell each `act` what to do."""
    step = to_step(driver)
    (seen,), (said,) = step.inputs, step.outputs
    states = {s.name: np.repeat(s.initial, len(laps), axis=0) for s in step.states}
    pictures = np.zeros((len(laps), PIXELS), "float32")
    while not all(lap.over for lap in laps):
        for number, lap in enumerate(laps):
            if not lap.over:
                pictures[number] = lap.see()
        results = step.model.predict_on_batch({seen: pictures, **states})
        states = {name: results[NEXT + name] for name in states}
        for lap, one, action in zip(laps, told, results[said], strict=True):
            if not lap.over:
                one.act(action)


def drive(driver: Stepper, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Drive the laps without noise one after the other, which takes its time; NaN for others.

    Args:
        driver: One step of a model, from pictures (1024,) to actions (2,).
        inputs: "track" and "noise": (laps,).

    Returns:
        The return of each lap, and the share of its frames off the track: (laps, 2).
    """
    return np.array(
        [
            _drive(driver, track, noise) if noise == 0 else (np.nan, np.nan)
            for track, noise in zip(inputs["track"], inputs["noise"], strict=True)
        ]
    )


def _drive(driver, track, noise):
    driver.reset()
    lap = NoisyLap(track, noise)
    while not lap.over:
        lap.act(driver(lap.see()))
    return lap.result


def with_disturbed_sight(driver: keras.Model) -> keras.Model:
    """A model of the same weights over greys 0 to 255, which it sees disturbed while it trains."""
    pictures = keras.Input((None, PIXELS), dtype="uint8", name="pictures")
    return keras.Model(pictures, driver(DisturbedSight()(pictures)))


class DisturbedSight(keras.layers.Layer):
    """Greys 0 to 255 as numbers from 0 to 1, disturbed in training.

    Each sequence has noise of a level of its own, and a brightness and a contrast.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._seeds = keras.random.SeedGenerator()

    def call(self, pictures, training=False):
        """Greys (batch, time, pixels) -> numbers of the same shape."""
        greys = ops.cast(pictures, "float32") / 255
        if not training:
            return greys
        each = (ops.shape(greys)[0], 1, 1)
        contrast = self._uniform(each, 1 - CONTRAST, 1 + CONTRAST)
        greys = (greys - 0.5) * contrast + 0.5 + self._uniform(each, -BRIGHTNESS, BRIGHTNESS)
        noise = keras.random.normal(ops.shape(greys), seed=self._seeds)
        return ops.clip(greys + self._uniform(each, 0, LARGEST_NOISE) * noise, 0, 1)

    def _uniform(self, shape, low, high):
        return keras.random.uniform(shape, low, high, seed=self._seeds)
