"""NGSIM: 403 events of one car following another on a highway, sampled at 10 Hz.

Extracted by Zhu et al., Safe, efficient, and comfortable velocity control, 2020, from the Next
Generation Simulation data of the US Federal Highway Administration. The repository states no
licence: downloaded, never shipped.
"""

import numpy as np

from zoo.data.dataset import Dataset
from zoo.extras import extra

HERTZ = 10.0
# Spacing (m), speed of the follower, relative speed, speed of the leader (m/s).
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
    """All events: float64 (steps, 4) with the columns `COLUMNS`."""
    with extra("zoo"):
        from scipy.io import loadmat

    cells = loadmat(DATASET.fetch()["testSet.mat"])["validationData"]
    return [np.asarray(event, "float64") for event in cells.ravel()]


def splits() -> dict[str, list[np.ndarray]]:
    """Events of each split: a random 15 % for testing and 15 % for validation, with seed 0."""
    all_events = events()
    order = np.random.RandomState(0).permutation(len(all_events))
    part = int(0.15 * len(all_events))
    indices = {
        "train": order[2 * part :],
        "validation": order[part : 2 * part],
        "test": order[:part],
    }
    return {name: [all_events[i] for i in chosen] for name, chosen in indices.items()}


def summary() -> dict[str, int]:
    """Counts of events, steps and invalid values."""
    all_events = events()
    return {
        "events": len(all_events),
        "steps": sum(map(len, all_events)),
        "steps with a value that is not finite": sum(
            int((~np.isfinite(event)).any(axis=1).sum()) for event in all_events
        ),
        "events with a spacing of 0 or less": sum(bool((e[:, 0] <= 0).any()) for e in all_events),
    }
