"""The scripted driver of CarRacing: it knows the track, and where on it the car is.

It plans a line that takes curves wide, and a speed for each place of it that the grip allows; it
steers at a point of the line ahead (pure pursuit) and gives gas or brakes by its error of speed.
Lengths are in units of the environment, a second is one of its own.
"""

from dataclasses import dataclass

import numpy as np

from zoo.data.car_racing_env import Lap

# How far from the middle of the road the line may lead; the road is 6.7 wide to either side.
ROOM = 2.5
SMOOTHING = 300
FASTEST = 90.0
# The tyres give way at about this acceleration.
GRIP = 213.0
# The point ahead: a distance, and what each unit of speed adds.
AHEAD, AHEAD_SECONDS = 4.0, 0.27
# Turning by so much more or less than steered for, in radians a second, is a spin.
SPIN = 1.0
WHEELBASE, LARGEST_ANGLE = 3.24, 0.4
MOST_GAS, BRAKE_FROM, MOST_BRAKE = 0.6, 0.05, 0.8
# Tiles among which the nearest one is looked for, behind and ahead of the last one.
BEHIND, BEYOND = 8, 12


@dataclass(frozen=True)
class Manner:
    """How a driver drives.

    Attributes:
        sideways: Acceleration that it allows itself in curves.
        along: And when it slows down before them.
        gas: Gas for each unit of speed that is missing.
        brake: Braking for each unit of speed that is too much.
    """

    sideways: float
    along: float
    gas: float
    brake: float


# The one is quick to give gas, the other gives what can be told from a picture.
BRISK = Manner(sideways=170.0, along=40.0, gas=0.1, brake=0.15)
CALM = Manner(sideways=110.0, along=40.0, gas=0.03, brake=0.03)


class ScriptedDriver:
    """A driver for one lap, to be asked once for each step.

    Args:
        lap: The lap; its track alone is read at first, its place at each step.
        manner: How it drives.
    """

    def __init__(self, lap: Lap, manner: Manner = CALM):
        self._lap, self._manner = lap, manner
        self._line = racing_line(lap.track)
        ahead = np.roll(self._line, -1, axis=0) - self._line
        self._lengths = np.hypot(*ahead.T)
        self._speeds = speeds(self._line, manner)
        self._at = 0

    def __call__(self) -> np.ndarray:
        """Steering in [-1, 1], and the pedal: gas (1) or brake (-1)."""
        manner = self._manner
        position, heading, speed, turning = self._lap.place
        self._at = self._nearest(position)
        offset = self._ahead(AHEAD + AHEAD_SECONDS * speed) - position
        angle = _wrapped(np.arctan2(offset[1], offset[0]) - heading)
        # Of the circle through the car and the point; never a tighter one than the grip allows.
        sideways = np.sin(np.clip(angle, -np.pi / 2, np.pi / 2))
        asked, tightest = 2 * sideways / np.hypot(*offset), GRIP / max(speed, 1.0) ** 2
        curvature = np.clip(asked, -tightest, tightest)
        steering = -np.arctan(WHEELBASE * curvature) / LARGEST_ANGLE
        # What curves take of the grip is missing along the road.
        left = np.sqrt(max(0.0, 1 - (curvature * speed**2 / GRIP) ** 2))
        # Gas keeps a car spinning that spins.
        calm = np.clip(2 - abs(turning - curvature * speed) / SPIN, 0, 1)
        # Off the line, the way back to it may be a tighter curve than the line's own.
        error = min(self._speeds[self._at], _speed_in(asked, manner)) - speed
        gas = np.clip(manner.gas * error, 0, MOST_GAS * left * calm)
        brake = np.clip(-manner.brake * error - BRAKE_FROM, 0, MOST_BRAKE * left)
        return np.array([np.clip(steering, -1, 1), gas - brake])

    def _nearest(self, position):
        near = (self._at + np.arange(-BEHIND, BEYOND)) % len(self._line)
        return near[np.hypot(*(self._line[near] - position).T).argmin()]

    def _ahead(self, distance):
        at = self._at
        while distance > self._lengths[at]:
            distance -= self._lengths[at]
            at = (at + 1) % len(self._line)
        following = self._line[(at + 1) % len(self._line)]
        return self._line[at] + (following - self._line[at]) * distance / self._lengths[at]


def racing_line(track: np.ndarray) -> np.ndarray:
    """The line of least curvature within `ROOM` of the middle of a closed track: (tiles, 2)."""
    middle = track[:, :2]
    across = np.stack([np.cos(track[:, 2]), np.sin(track[:, 2])], axis=-1)
    offset = np.zeros(len(track))
    for _ in range(SMOOTHING):
        bend = _second_difference(middle + offset[:, None] * across)
        # Gradient descent on the squared bends; 16 is the largest curvature of that sum.
        slope = (_second_difference(bend) * across).sum(axis=1)
        offset = np.clip(offset - slope / 16, -ROOM, ROOM)
    return middle + offset[:, None] * across


def speeds(line: np.ndarray, manner: Manner) -> np.ndarray:
    """The speed at each point of a closed line: what its curves allow, and braking before them."""
    ahead = np.roll(line, -1, axis=0) - line
    lengths = np.hypot(*ahead.T)
    heading = np.arctan2(ahead[:, 1], ahead[:, 0])
    curvature = _wrapped(heading - np.roll(heading, 1)) / lengths
    curvature = np.mean([np.roll(curvature, shift) for shift in range(-2, 3)], axis=0)
    allowed = np.minimum(FASTEST, _speed_in(curvature, manner))
    # Twice around, for the start is where the end is.
    for at in [*range(len(line))[::-1]] * 2:
        following = allowed[(at + 1) % len(line)]
        allowed[at] = min(allowed[at], np.sqrt(following**2 + 2 * manner.along * lengths[at]))
    return allowed


def _speed_in(curvature, manner):
    return np.sqrt(manner.sideways / np.maximum(np.abs(curvature), 1e-6))


def _second_difference(points):
    return np.roll(points, 1, axis=0) - 2 * points + np.roll(points, -1, axis=0)


def _wrapped(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi
