"""Half-cheetah: 25 traces of a simulated two-legged runner, 1,000 steps of 17 values.

Recorded from a policy in the MuJoCo HalfCheetah environment of OpenAI Gym by
Lechner and Hasani for their liquid time-constant networks. Apache-2.0.
"""

import numpy as np

from zoo.argument_checks import require_choice
from zoo.data.dataset import Dataset
from zoo.readers import arrays

FEATURES = 17
_JOINTS = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
# The order of the environment's observation: positions and angles, then velocities.
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
# Time between two observations in s.
INTERVAL = 0.05
WINDOW = 32
STRIDE = 10
# The split of Hasani et al., Liquid Time-constant Networks, AAAI 2021.
SPLITS = {"train": range(15, 25), "validation": range(0, 5), "test": range(5, 15)}

DATASET = Dataset(
    name="half_cheetah",
    title="HalfCheetah observation traces (Lechner and Hasani)",
    source=(
        "https://raw.githubusercontent.com/raminmh/liquid_time_constant_networks/"
        "4a8a4fa22a91c4067b6944a264819ff30a4aae9d/experiments_with_ltcs/data/cheetah/"
    ),
    license="Apache-2.0",
)


def traces(split: str) -> np.ndarray:
    """The traces of a split: float32 (traces, 1000, 17)."""
    indices = SPLITS[require_choice("split", split, SPLITS)]
    paths = DATASET.fetch()
    loaded = [arrays.read_array(paths[f"trace_{n:04d}.npy"]) for n in indices]
    return np.stack(loaded).astype("float32")


def windows(traces: np.ndarray, stride: int = STRIDE) -> tuple[np.ndarray, np.ndarray]:
    """Cut traces into inputs, and targets one step later: each (windows, 32, 17).

    Windows start at 0, stride, 2 stride, ... below length - 33, as in Hasani et al., 2021.
    """
    starts = range(0, traces.shape[1] - WINDOW - 1, stride)
    inputs = [trace[s : s + WINDOW] for trace in traces for s in starts]
    targets = [trace[s + 1 : s + 1 + WINDOW] for trace in traces for s in starts]
    return np.stack(inputs), np.stack(targets)


def summary() -> dict[str, int]:
    """Counts of traces, steps and invalid steps."""
    all_traces = np.concatenate([traces(split) for split in SPLITS])
    steps = all_traces.reshape(-1, FEATURES)
    return {
        "traces": len(all_traces),
        "steps": len(steps),
        "steps with a value that is not finite": int((~np.isfinite(steps)).any(axis=1).sum()),
    }
