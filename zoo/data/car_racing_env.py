"""A lap of CarRacing: a car on a random track, seen from above as small grey pictures.

The seed determines the track. A reward of 1,000 is shared among the tiles of the track, and each
frame costs 0.1. A lap ends when all tiles were visited, when the car leaves the field, or after
1,000 frames.
"""

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from zoo.compat import Polygon, with_render_hooks
from zoo.extras import MissingExtraError, extra

FRAMES = 1000
# Frames for which each action is held.
HOLD = 4
HERTZ = 50 / HOLD
SIDE = 32
PIXELS = SIDE * SIDE
# Gas where the pedal is positive, brake where it is negative.
ACTIONS = ("steering", "pedal")
_LUMINANCE = np.array([0.299, 0.587, 0.114])


class Lap:
    """A car on a random track.

    Args:
        seed: Seed of the track.
        sees: Whether to render pictures, which takes far longer than the physics.
        hold: Frames for which each action is held.

    Attributes:
        track: Centre of each tile and the direction across it: (tiles, 3), x, y and an angle.
        reward: Sum of the rewards so far; the return at the end of the lap.
        frames: Number of frames so far.
        off_track: Number of frames in which no wheel was on the road.
        picture: The current picture: greys from 0 to 255, uint8 (1024,), or None without `sees`.
        over: Whether the lap is over.

    Raises:
        MissingExtraError: gymnasium or Box2D is not installed.
    """

    def __init__(self, seed: int, sees: bool = True, hold: int = HOLD):
        self._sees, self._hold = sees, hold
        self._environment: Any = _environment_class()()
        self._environment.draws = sees
        picture, _ = self._environment.reset(seed=int(seed))
        self.picture = grey(picture) if sees else None
        self.track = np.array(self._environment.track)[:, [2, 3, 1]]
        self.reward, self.frames, self.off_track, self.over = 0.0, 0, 0, False

    @property
    def place(self) -> tuple[np.ndarray, float, float, float]:
        """Position, heading, speed and angular velocity of the car."""
        hull = self._environment.car.hull
        speed = float(np.hypot(*hull.linearVelocity))
        return np.array(hull.position), hull.angle + np.pi / 2, speed, hull.angularVelocity

    def act(self, action: np.ndarray) -> None:
        """Hold an action for the next frames: steering in [-1, 1], and a pedal from -1 to 1."""
        steering, pedal = np.clip(action, -1, 1)
        gas_and_brake = np.array([steering, max(pedal, 0.0), max(-pedal, 0.0)])
        picture = None
        for frame in range(self._hold):
            self._environment.draws = self._sees and frame == self._hold - 1
            picture, reward, ended, _, _ = self._environment.step(gas_and_brake)
            self.reward += float(reward)
            self.frames += 1
            self.off_track += not any(w.tiles for w in self._environment.car.wheels)
            self.over = ended or self.frames >= FRAMES
            if self.over:
                return
        if picture is not None:
            self.picture = grey(picture)


def grey(picture: np.ndarray) -> np.ndarray:
    """Mean luminance of each 3 x 3 pixels of a colour picture (96, 96, 3): uint8 (1024,)."""
    blocks = picture.reshape(SIDE, 3, SIDE, 3, 3).sum(axis=(1, 3), dtype="uint16") / 9
    return (blocks @ _LUMINANCE).round().astype("uint8").ravel()


@cache
def _environment_class() -> type:
    """CarRacing that renders on demand, and only polygons near the window: the same pictures."""
    # No window is opened.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    with extra("driving"):
        from gymnasium.envs.box2d import car_racing
        from gymnasium.error import DependencyNotInstalled
    try:
        racing = car_racing.CarRacing
    except DependencyNotInstalled as error:
        raise MissingExtraError(
            "Box2D is not installed. Install the extra: pip install 'lnn-keras[driving]'."
        ) from error
    # The largest distance from the car to a point in the window, and the largest size of a shape.
    reach = np.hypot(car_racing.WINDOW_W / 2, 0.75 * car_racing.WINDOW_H)
    shape_size = car_racing.MAX_SHAPE_DIM / (car_racing.ZOOM * car_racing.SCALE)
    field = car_racing.PLAYFIELD * np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    size = car_racing.GRASS_DIM
    corners = size * np.mgrid[-20:20:2, -20:20:2].reshape(2, -1).T
    patches = [[(x + size, y), (x, y), (x, y + size), (x + size, y + size)] for x, y in corners]

    def road_polygons(environment: Any, zoom: float) -> Iterator[Polygon]:
        distance = reach / zoom + shape_size
        position = np.array(environment.car.hull.position)
        yield field, environment.bg_color, False
        grass = [(patch, environment.grass_color) for patch in patches]
        road = environment.road_poly
        road_corners = [polygon[0] for polygon, _ in road]
        for shapes, shape_corners in ((grass, corners), (road, road_corners)):
            for polygon, color in _near(shapes, shape_corners, position, distance):
                yield polygon, [int(c) for c in color], True

    return with_render_hooks(racing, road_polygons)


def _near(shapes: list[Any], corners: Any, position: np.ndarray, distance: float) -> list[Any]:
    """The shapes with a corner near the position."""
    near = (np.abs(np.asarray(corners) - position) < distance).all(axis=1)
    return [shapes[i] for i in np.flatnonzero(near)]
