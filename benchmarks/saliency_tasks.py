"""Tasks whose salient inputs are known: a few steps, a few features, or a hidden state."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STEPS, FEATURES = 40, 6
SALIENT_STEPS, SALIENT_FEATURES = 3, 2
SHIFT = 1.5
STATE_STEPS, STATE_CHANGE = 40, 0.05
STATE_MEANS = np.array([[0.1, 1.6, 0.5], [-0.1, -0.4, -1.5]])
STATE_VARIANCE, STATE_SLOPE = 0.8, 2.0
AUTOREGRESSION = (0.25, 0.1, 0.05)


@dataclass(frozen=True)
class Samples:
    """Sequences of a task.

    Attributes:
        inputs: (count, steps, features).
        labels: 0 or 1, of each sequence (count, 1) or of each step (count, steps, 1).
        salient: Booleans of the shape of the inputs: the values that the label depends on.
        simple_rule: The labels that a rule predicts which needs no recurrent model.
    """

    inputs: np.ndarray
    labels: np.ndarray
    salient: np.ndarray
    simple_rule: np.ndarray


def rare_time(count: int, seed: int) -> Samples:
    """Few salient steps, with all of their features.

        inputs = noise + (2 label - 1) * shift at 3 adjacent steps, which start at a random step

    The noise is autoregressive, as that of Crabbé and van der Schaar; the label is written into
    the salient values as by Ismail et al., since a model can only learn positions that it sees.
    The simple rule is the sign of the sum of all inputs.

    Args:
        count: The number of sequences.
        seed: Random seed.

    Returns:
        The sequences, of 40 steps and 6 features, with one label each.

    Example:

    ```python
    rare_time(8, seed=0).salient.any(axis=2).sum(axis=1)    # 3 salient steps of each sequence
    ```

    Reference: Crabbé and van der Schaar, Explaining time series predictions with dynamic masks,
    ICML 2021, section 4.1; Ismail et al., Benchmarking deep learning interpretability in time
    series predictions, NeurIPS 2020.
    """
    random = np.random.default_rng(seed)
    steps = _windows(random, count, SALIENT_STEPS)
    return _shifted(random, np.repeat(steps[:, :, None], FEATURES, axis=2))


def rare_feature(count: int, seed: int) -> Samples:
    """Few salient features, within a window of half of the steps.

        inputs = noise + (2 label - 1) * shift at features 0 and 1 within the window

    The window starts at a random step. Noise, sources and the simple rule are those of `rare_time`.

    Args:
        count: The number of sequences.
        seed: Random seed.

    Returns:
        The sequences, of 40 steps and 6 features, with one label each.

    Example:

    ```python
    rare_feature(8, seed=0).salient[0].any(axis=0)    # features 0 and 1
    ```
    """
    random = np.random.default_rng(seed)
    steps = _windows(random, count, STEPS // 2)
    return _shifted(random, steps[:, :, None] & (np.arange(FEATURES) < SALIENT_FEATURES))


def switching_state(count: int, seed: int) -> Samples:
    """A hidden state, 0 or 1, decides which of three features the label of a step depends on.

        P(state changes)  = 0.05 at each step
        inputs            ~ Normal(means of the state, 0.8)
        P(label = 1)      = sigmoid(2 inputs[1 + state])

    The salient value of a step is that feature; feature 0 never matters. Constants are those of the
    published code, without its correlations of 0.01 and its chance of a change that grows with the
    time in state 1. The simple rule knows the hidden state: no model predicts the labels better.

    Args:
        count: The number of sequences.
        seed: Random seed.

    Returns:
        The sequences, of 40 steps and 3 features, with one label at each step.

    Example:

    ```python
    switching_state(8, seed=0).salient.sum(axis=2)    # 1 salient value at each step
    ```

    Reference: Tonekaboni et al., What went wrong and when? Instance-wise feature importance for
    time-series black-box models, NeurIPS 2020; Crabbé and van der Schaar 2021, section 4.2.
    """
    random = np.random.default_rng(seed)
    changes = random.random((count, STATE_STEPS)) < STATE_CHANGE
    changes[:, 0] = random.random(count) < 0.5
    states = np.cumsum(changes, axis=1) % 2
    noise = random.normal(0, np.sqrt(STATE_VARIANCE), (count, STATE_STEPS, 3))
    inputs = (STATE_MEANS[states] + noise).astype("float32")
    salient = np.arange(3) == 1 + states[..., None]
    decisive = inputs[salient].reshape(count, STATE_STEPS, 1)
    chance = 1 / (1 + np.exp(-STATE_SLOPE * decisive))
    labels = (random.random(chance.shape) < chance).astype("float32")
    return Samples(inputs, labels, salient, (decisive > 0).astype("float32"))


TASKS: dict[str, Callable[[int, int], Samples]] = {
    "rare time": rare_time,
    "rare feature": rare_feature,
    "switching state": switching_state,
}


def _windows(random: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Booleans (count, steps): one window of adjacent steps in each sequence."""
    starts = random.integers(0, STEPS - length + 1, (count, 1))
    steps = np.arange(STEPS)
    return (steps >= starts) & (steps < starts + length)


def _shifted(random: np.random.Generator, salient: np.ndarray) -> Samples:
    """Noise, with salient values that are shifted up or down by the label."""
    labels = random.integers(0, 2, (len(salient), 1)).astype("float32")
    shifts = SHIFT * (2 * labels[..., None] - 1) * salient
    inputs = (autoregressive_noise(random, salient.shape) + shifts).astype("float32")
    sums = inputs.sum(axis=(1, 2))[:, None]
    return Samples(inputs, labels, salient, (sums > 0).astype("float32"))


def autoregressive_noise(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise x_t = 0.25 x_(t-1) + 0.1 x_(t-2) + 0.05 x_(t-3) + e_t along axis 1, e_t normal."""
    noise = random.normal(size=shape)
    for step in range(shape[1]):
        for lag, factor in enumerate(AUTOREGRESSION, 1):
            if step >= lag:
                noise[:, step] += factor * noise[:, step - lag]
    return noise
