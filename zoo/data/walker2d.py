"""Walker2d: 400 rollouts of a simulated walker.

Recorded from policies in the MuJoCo Walker2d environment of OpenAI Gym by Lechner and Hasani for
their closed-form continuous-time networks. MIT.
"""

import numpy as np

from zoo.data.dataset import Dataset
from zoo.readers import arrays

FEATURES = 17
_JOINTS = ("thigh", "leg", "foot", "left_thigh", "left_leg", "left_foot")
# The order of the environment's observation: height and angles, then velocities.
COLUMNS = (
    *("z", "pitch", *_JOINTS),
    *("x_velocity", "z_velocity", "pitch_velocity", *(f"{joint}_velocity" for joint in _JOINTS)),
)
# Angles in rad, heights in m, and their rates.
UNITS = {
    name: ("m/s" if name in ("x_velocity", "z_velocity") else "rad/s")
    if name.endswith("velocity")
    else ("m" if name == "z" else "rad")
    for name in COLUMNS
}
WINDOW = 64
STRIDE = 16
KEEP_PROBABILITY = 0.9

DATASET = Dataset(
    name="walker2d",
    title="Walker2d rollouts (Lechner and Hasani)",
    source=(
        "https://raw.githubusercontent.com/raminmh/CfC/"
        "59f6e01fd4809331f6dd3ddf0f8bf5890c9e71a7/data/walker/"
    ),
    license="MIT",
)


def rollouts() -> list[np.ndarray]:
    """All rollouts in the order of their file names: float64 (steps, 17)."""
    paths = DATASET.fetch()
    return [arrays.read_array(paths[name]) for name in sorted(paths)]


def splits(stride: int = STRIDE) -> dict[str, tuple[dict[str, np.ndarray], np.ndarray]]:
    """Windows of 64 kept steps, split by rollout as in the loader of the paper.

    Each step is kept with probability 0.9. `elapsed` counts the steps since the last kept one.

    Args:
        stride: Stride of the training windows; validation and test have stride 16.

    Returns:
        For "train", "validation" and "test": {"observation": (windows, 64, 17), "elapsed":
        (windows, 64)} and the next observations (windows, 64, 17).

    Reference: Hasani et al., Closed-form continuous-time neural networks, 2022.
    """
    recorded = rollouts()
    order = np.arange(len(recorded))
    np.random.RandomState(125487).shuffle(order)
    test, validation = int(0.15 * len(order)), int(0.1 * len(order))
    parts = {
        "train": order[test + validation :],
        "validation": order[test : test + validation],
        "test": order[:test],
    }
    # All splits draw from one generator in this order, as in the loader of the paper.
    random = np.random.RandomState(891374)
    return {
        name: _windows([recorded[i] for i in part], random, stride if name == "train" else STRIDE)
        for name, part in parts.items()
    }


def summary() -> dict[str, int]:
    """Counts of rollouts, steps, windows and invalid steps."""
    recorded = rollouts()
    return {
        "rollouts": len(recorded),
        "steps": sum(map(len, recorded)),
        "steps with a value that is not finite": sum(
            int((~np.isfinite(rollout)).any(axis=1).sum()) for rollout in recorded
        ),
        **{f"{name} windows": len(targets) for name, (_, targets) in splits().items()},
    }


def _windows(
    recorded: list[np.ndarray], random: np.random.RandomState, stride: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    observations, elapsed, targets = [], [], []
    for rollout in recorded:
        kept = np.flatnonzero(random.rand(len(rollout) - 1) < KEEP_PROBABILITY)
        since = np.diff(kept, prepend=-1)
        for start in range(0, len(kept) - WINDOW, stride):
            steps = slice(start, start + WINDOW)
            observations.append(rollout[kept[steps]])
            elapsed.append(since[steps])
            targets.append(rollout[kept[steps] + 1])
    inputs = {
        "observation": np.stack(observations).astype("float32"),
        "elapsed": np.stack(elapsed).astype("float32"),
    }
    return inputs, np.stack(targets).astype("float32")
