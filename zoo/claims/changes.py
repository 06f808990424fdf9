"""Changes of test sequences: slower sampling, gain, bias, noise, and missing samples.

The inputs change, the targets stay: the model shall predict the truth although its sensors drifted.
"""

from collections.abc import Callable

import numpy as np

from zoo.claims.tasks import Sequences

GAIN, BIAS, SLOWER = 1.5, 0.5, 2
NOISE = (0.25, 0.5, 1.0)
MISSING = (0.25, 0.5, 0.75)
Change = Callable[[Sequences, np.ndarray], Sequences]


def slower_sampling(sequences: Sequences, deviation: np.ndarray) -> Sequences:
    """Every second step, with twice the elapsed time."""
    steps = sequences.inputs.shape[1]
    return sequences.at_steps(np.arange((steps - 1) % SLOWER, steps, SLOWER))


def gain(sequences: Sequences, deviation: np.ndarray) -> Sequences:
    """All inputs times 1.5."""
    return sequences.with_inputs(GAIN * sequences.inputs)


def bias(sequences: Sequences, deviation: np.ndarray) -> Sequences:
    """Half a standard deviation is added to each feature."""
    return sequences.with_inputs(sequences.inputs + BIAS * deviation)


def noise(level: float) -> Change:
    """Gaussian noise with `level` standard deviations of each feature."""

    def with_noise(sequences: Sequences, deviation: np.ndarray) -> Sequences:
        random = np.random.default_rng(0)
        drawn = random.standard_normal(sequences.inputs.shape)
        return sequences.with_inputs(sequences.inputs + level * deviation * drawn)

    return with_noise


def missing(share: float) -> Change:
    """Each sequence without a random part of its steps; the last step stays."""

    def with_gaps(sequences: Sequences, deviation: np.ndarray) -> Sequences:
        random = np.random.default_rng(0)
        count, steps = sequences.inputs.shape[:2]
        kept = max(1, round((1 - share) * steps))
        order = random.random((count, steps))
        order[:, -1] = -1
        return sequences.at_steps(np.sort(order.argsort(axis=1)[:, :kept], axis=1))

    return with_gaps


DRIFTS: dict[str, Change] = {
    "half the rate": slower_sampling,
    "gain 1.5": gain,
    "bias 0.5": bias,
}
DISTURBANCES: dict[str, Change] = {
    **{f"noise {level:g}": noise(level) for level in NOISE},
    **{f"{100 * share:.0f} % missing": missing(share) for share in MISSING},
}
CHANGES = {**DRIFTS, **DISTURBANCES}
