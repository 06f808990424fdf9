"""NGSIM: 403 events of one car following another on a highway, ten times a second.

Extracted by Zhu et al., Safe, efficient, and comfortable velocity control, 2020, from the Next
Generation Simulation data of the US Federal Highway Administration. The repository states no
licence: fetched, never shipped.
"""

import numpy as np

from zoo.data.dataset import Dataset

HERTZ = 10.0
# spacing (m), the follower's speed (m/s), relative speed (m/s), the leader's speed (m/s)
COLUMNS = ("spacing", "speed", "relative_speed", "lead_speed")

DATASET = Dataset(
    name="ngsim",
    title="NGSIM car-following events (Zhu et al.)",
    source=(
        "https://raw.githubusercontent.com/MeixinZhu/Velocity_control/"
        "c5a95b3ac24e7d955c4d808e23caf7e732a0f721/"
    ),
    license="none stated",
    shippable=False,
)


def events() -> list[np.ndarray]:
    """Each event: float64 (steps, 4), a column for each of `COLUMNS`."""
    from scipy.io import loadmat

    cells = loadmat(DATASET.fetch()["testSet.mat"])["validationData"]
    return [np.asarray(event, "float64") for event in cells.ravel()]


def splits() -> dict[str, list[np.ndarray]]:
    """Events of each split; a permutation with seed 0 gives 15 % to test, 15 % to validation."""
    found = events()
    order = np.random.RandomState(0).permutation(len(found))
    part = int(0.15 * len(found))
    numbers = {
        "train": order[2 * part :],
        "validation": order[part : 2 * part],
        "test": order[:part],
    }
    return {name: [found[i] for i in chosen] for name, chosen in numbers.items()}


def summary() -> dict[str, int]:
    """What the file holds, by count."""
    found = events()
    return {
        "events": len(found),
        "steps": sum(map(len, found)),
        "steps with a number that is not finite": sum(
            int((~np.isfinite(event)).any(axis=1).sum()) for event in found
        ),
        "events with a spacing of 0 or less": sum(bool((e[:, 0] <= 0).any()) for e in found),
    }
