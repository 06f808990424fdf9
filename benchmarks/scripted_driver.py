"""How lane keeping's scripted driver does on the tracks that models are judged on.

python -m benchmarks.scripted_driver
"""

import numpy as np

from zoo.data.car_racing import TRACKS
from zoo.data.car_racing_env import Lap
from zoo.data.car_racing_expert import ScriptedDriver


def drive(track: int) -> Lap:
    """A lap that the scripted driver has driven, without pictures."""
    lap = Lap(track, sees=False)
    driver = ScriptedDriver(lap)
    while not lap.over:
        lap.act(driver())
    return lap


def main() -> None:
    """Drive all tracks of the test split, and print what they return."""
    laps = [drive(track) for track in TRACKS["test"]]
    returns = np.array([lap.reward for lap in laps])
    print(
        f"{len(laps)} tracks: return {returns.mean():.1f}, least {returns.min():.1f}; "
        f"{sum(lap.off_track for lap in laps)} frames off the track"
    )


if __name__ == "__main__":
    main()
