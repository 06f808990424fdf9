"""Return of the scripted driver of the lane-keeping task on the test tracks.

python -m benchmarks.scripted_driver
"""

import numpy as np

from zoo.data.car_racing import TRACKS
from zoo.data.car_racing_env import Lap
from zoo.data.car_racing_expert import ScriptedDriver


def simulate_lap(track: int) -> Lap:
    """Simulate a lap of the scripted driver without rendering images.

    Args:
        track: Seed of the track.

    Returns:
        The finished lap.
    """
    lap = Lap(track, sees=False)
    driver = ScriptedDriver(lap)
    while not lap.over:
        lap.act(driver())
    return lap


def main() -> None:
    """Simulate a lap on each track of the test split and print the returns."""
    laps = [simulate_lap(track) for track in TRACKS["test"]]
    returns = np.array([lap.reward for lap in laps])
    off_track = sum(lap.off_track for lap in laps)
    print(
        f"{len(laps)} tracks: mean return {returns.mean():.1f}, minimum {returns.min():.1f}; "
        f"{off_track} frames off the track"
    )


if __name__ == "__main__":
    main()
