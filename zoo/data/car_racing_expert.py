"""The scripted driver of CarRacing, which knows the track and the position of the car.

It plans a racing line of minimum curvature and a speed profile that the grip of the tyres allows.
It steers to a point ahead on the line (pure pursuit), and controls the speed with gas and brake.
Lengths are in units of the environment, times in its seconds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.car_racing_env import Lap

# Maximum distance of the racing line from the centre of the road, which extends 6.7 to each side.
ROOM = 2.5
SMOOTHING = 300
FASTEST = 90.0
# Acceleration at which the tyres start to slide.
GRIP = 213.0
# Distance of the point ahead: a constant, and a time that is multiplied by the speed.
AHEAD, AHEAD_SECONDS = 4.0, 0.27
# Difference of actual and intended yaw rate that counts as a spin, in radians per second.
SPIN = 1.0
WHEELBASE, LARGEST_ANGLE = 3.24, 0.4
MOST_GAS, BRAKE_FROM, MOST_BRAKE = 0.6, 0.05, 0.8
# Tiles behind and ahead of the last nearest tile that are searched for the next one.
BEHIND, BEYOND = 8, 12


@dataclass(frozen=True)
class Manner:
    """The parameters of a scripted driver.

    Attributes:
        sideways: Maximum lateral acceleration in curves.
        along: Deceleration of the speed profile before curves.
        gas: Gas per unit of speed below the profile.
        brake: Brake per unit of speed above the profile.
    """

    sideways: float
    along: float
    gas: float
    brake: float


# BRISK is fast. CALM is careful, with actions that can be inferred from a single picture.
BRISK = Manner(sideways=170.0, along=40.0, gas=0.1, brake=0.15)
CALM = Manner(sideways=110.0, along=40.0, gas=0.03, brake=0.03)


class ScriptedDriver:
    """A driver for one lap; call it once per step.

    Args:
        lap: The lap. The position of the car is read at each step.
        manner: The parameters of the driver.
    """

    def __init__(self, lap: Lap, manner: Manner = CALM):
        self._lap, self._manner = lap, manner
        self._line = racing_line(lap.track)
        ahead = np.roll(self._line, -1, axis=0) - self._line
        self._lengths = np.hypot(*ahead.T)
        self._speeds = speeds(self._line, manner)
        self._at = 0

    def __call__(self) -> np.ndarray:
        """The action: steering in [-1, 1], and a pedal from full brake (-1) to full gas (1)."""
        manner = self._manner
        position, heading, speed, turning = self._lap.place
        self._at = self._nearest(position)
        offset = self._ahead(AHEAD + AHEAD_SECONDS * speed) - position
        angle = _wrapped(np.arctan2(offset[1], offset[0]) - heading)
        # Curvature of the circle through the car and the point ahead, limited by the grip.
        sine = np.sin(np.clip(angle, -np.pi / 2, np.pi / 2))
        wanted, limit = 2 * sine / np.hypot(*offset), GRIP / max(speed, 1.0) ** 2
        curvature = np.clip(wanted, -limit, limit)
        steering = -np.arctan(WHEELBASE * curvature) / LARGEST_ANGLE
        # The grip that remains for acceleration along the road (friction circle).
        remaining = np.sqrt(max(0.0, 1 - (curvature * speed**2 / GRIP) ** 2))
        # No gas during a spin, because gas would continue it.
        stability = np.clip(2 - abs(turning - curvature * speed) / SPIN, 0, 1)
        # The way back to the line can be a tighter curve than the line itself.
        error = min(self._speeds[self._at], _speed_in(wanted, manner)) - speed
        gas = np.clip(manner.gas * error, 0, MOST_GAS * remaining * stability)
        brake = np.clip(-manner.brake * error - BRAKE_FROM, 0, MOST_BRAKE * remaining)
        return np.array([np.clip(steering, -1, 1), gas - brake])

    def _nearest(self, position: np.ndarray) -> int:
        """Index of the nearest point of the line."""
        near = (self._at + np.arange(-BEHIND, BEYOND)) % len(self._line)
        return int(near[np.hypot(*(self._line[near] - position).T).argmin()])

    def _ahead(self, distance: float) -> np.ndarray:
        """The point of the line at a distance ahead."""
        at = self._at
        while distance > self._lengths[at]:
            distance -= self._lengths[at]
            at = (at + 1) % len(self._line)
        following = self._line[(at + 1) % len(self._line)]
        return self._line[at] + (following - self._line[at]) * distance / self._lengths[at]


def racing_line(track: np.ndarray) -> np.ndarray:
    """The line of minimum curvature within `ROOM` of the centre of a closed track: (tiles, 2)."""
    centre = track[:, :2]
    across = np.stack([np.cos(track[:, 2]), np.sin(track[:, 2])], axis=-1)
    offset = np.zeros(len(track))
    for _ in range(SMOOTHING):
        bend = _second_difference(centre + offset[:, None] * across)
        # Gradient descent on the squared second differences; 16 is their largest eigenvalue.
        gradient = (_second_difference(bend) * across).sum(axis=1)
        offset = np.clip(offset - gradient / 16, -ROOM, ROOM)
    return centre + offset[:, None] * across


def speeds(line: np.ndarray, manner: Manner) -> np.ndarray:
    """Speed profile of a closed line: the limit of each curve, and braking before it."""
    ahead = np.roll(line, -1, axis=0) - line
    lengths = np.hypot(*ahead.T)
    heading = np.arctan2(ahead[:, 1], ahead[:, 0])
    curvature = _wrapped(heading - np.roll(heading, 1)) / lengths
    curvature = np.mean([np.roll(curvature, shift) for shift in range(-2, 3)], axis=0)
    allowed = np.minimum(FASTEST, _speed_in(curvature, manner))
    # Two passes, because the line is closed.
    for at in [*range(len(line))[::-1]] * 2:
        following = allowed[(at + 1) % len(line)]
        allowed[at] = min(allowed[at], np.sqrt(following**2 + 2 * manner.along * lengths[at]))
    return allowed


def _speed_in(curvature: Any, manner: Manner) -> Any:
    """The speed at which a curve needs the maximum lateral acceleration."""
    return np.sqrt(manner.sideways / np.maximum(np.abs(curvature), 1e-6))


def _second_difference(points: np.ndarray) -> np.ndarray:
    return np.roll(points, 1, axis=0) - 2 * points + np.roll(points, -1, axis=0)


def _wrapped(angle: Any) -> Any:
    """The angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
