"""Changes of a signal: gain, offset, noise, dropped samples and another sampling rate.

`page/changes.js` computes the same numbers in the browser.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.explain.playground.random_numbers import DROP_SEED, NOISE_SEED, normal, uniform


@dataclass(frozen=True)
class Feature:
    """One number of each sample that can be changed.

    Attributes:
        input: Name of the model's input that holds it.
        column: Its index in the rows of that input.
        name: Its name in the page.
        spread: The standard deviation of its values, the unit of offset and noise. Of a feature
            with only one value it is a tenth of that.
        constant: Whether it has only one value. Offset and noise of all features do not change it.
        zero: The value that the model takes for a quantity of 0, which no gain changes.
        scale: The measured quantity is `scale * (value - zero)`.
        unit: Unit of the quantity, or "".
    """

    input: str
    column: int
    name: str
    spread: float
    constant: bool = False
    zero: float = 0.0
    scale: float = 1.0
    unit: str = ""


@dataclass(frozen=True)
class Changes:
    """The position of all sliders; by default nothing changes.

    Attributes:
        feature: Index of the only feature that changes, or None for all. Another sampling rate
            always is that of all.
        gain: Factor of the quantities.
        offset: Added to the values, in spreads of the feature.
        noise: Standard deviation of normal numbers added to the values, in spreads of the feature.
        dropped: Share of the samples that are replaced by the value before them.
        rate: Samples per original sample. The values are held between original samples.
    """

    feature: int | None = None
    gain: float = 1.0
    offset: float = 0.0
    noise: float = 0.0
    dropped: float = 0.0
    rate: float = 1.0


def positions(length: int, rate: float) -> np.ndarray:
    """The time of each new sample, in original samples, at another sampling rate.

    Args:
        length: Number of original samples.
        rate: New samples per original sample.
    """
    if rate == 1:
        return np.arange(length, dtype="float64")
    return np.arange(int((length - 1) * rate) + 1) / rate


def changed_inputs(
    inputs: Mapping[str, np.ndarray],
    features: Sequence[Feature],
    elapsed: tuple[str, int] | None,
    changes: Changes,
) -> dict[str, np.ndarray]:
    """Return the inputs that a model gets from a changed signal.

    Args:
        inputs: By name, float32 (time, columns).
        features: All features that can be changed.
        elapsed: The input and the column of elapsed times, if the model takes them.
        changes: The changes.

    Returns:
        By name, float32 (new time, columns).
    """
    length = len(next(iter(inputs.values())))
    noise = normal(NOISE_SEED, length * len(features)).reshape(length, len(features))
    kept = uniform(DROP_SEED, length) >= changes.dropped
    kept[0] = True
    # The last sample that was not dropped.
    held = np.maximum.accumulate(np.where(kept, np.arange(length), 0))
    new = {name: values.astype("float32") for name, values in inputs.items()}
    for index, feature in enumerate(features):
        if changes.feature is None or changes.feature == index:
            spread = 0.0 if feature.constant and changes.feature is None else feature.spread
            values = inputs[feature.input][:, feature.column].astype("float64")
            values = values * changes.gain + feature.zero * (1 - changes.gain)
            values = values + spread * (changes.offset + changes.noise * noise[:, index])
            new[feature.input][:, feature.column] = values[held]
    if changes.rate == 1:
        return new
    at = positions(length, changes.rate)
    resampled = {name: values[at.astype(int)] for name, values in new.items()}
    if elapsed is not None:
        name, column = elapsed
        resampled[name][:, column] = _resampled_elapsed(inputs[name][:, column], at)
    return resampled


def _resampled_elapsed(elapsed: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The time between new samples; the first one keeps its own."""
    steps = elapsed.astype("float64")
    ends = np.cumsum(steps)
    before = at.astype(int)
    after = np.minimum(before + 1, len(steps) - 1)
    times = ends[before] + (at - before) * steps[after]
    return np.diff(times, prepend=times[0] - steps[0])
