"""A lap of CarRacing, a car on a random track seen from above, as small grey pictures.

The track follows from its seed alone. A lap is 1000 tiles' worth of reward shared among the tiles
of its track, less 0.1 for each frame; it ends when every tile was touched, when the car is lost,
or after 1,000 frames.
"""

import os
from functools import cache

import numpy as np

FRAMES = 1000
# The car is told what to do after every fourth frame, and holds it until the next.
HOLD = 4
HERTZ = 50 / HOLD
SIDE = 32
PIXELS = SIDE * SIDE
# Gas where the pedal is positive, brake where it is negative.
ACTIONS = ("steering", "pedal")
_LUMINANCE = np.array([0.299, 0.587, 0.114])


class Lap:
    """A car on the track of a seed.

    Args:
        seed: Seed of the track.
        sees: Whether pictures are drawn, which takes far longer than to drive.
        hold: Frames for which the car does what it is told.

    Attributes:
        track: Middle of each tile and the direction across it: (tiles, 3), x, y and an angle.
        reward: The sum of all rewards so far, which is the return once the lap is over.
        frames: Frames so far.
        off_track: Of these, those in which no wheel was on the road.
        picture: What the car sees: greys from 0 to 255, uint8 (1024,).
        over: Whether the lap is over.

    Raises:
        RuntimeError: gymnasium or its Box2D is not installed.
    """

    def __init__(self, seed: int, sees: bool = True, hold: int = HOLD):
        self._sees, self._hold = sees, hold
        self._environment = _environment_class()()
        self._environment.draws = sees
        picture, _ = self._environment.reset(seed=int(seed))
        self.picture = grey(picture) if sees else None
        self.track = np.array(self._environment.track)[:, [2, 3, 1]]
        self.reward, self.frames, self.off_track, self.over = 0.0, 0, 0, False

    @property
    def place(self) -> tuple[np.ndarray, float, float, float]:
        """Where the car is and how it moves: position, heading, speed, and how fast it turns."""
        hull = self._environment.car.hull
        speed = float(np.hypot(*hull.linearVelocity))
        return np.array(hull.position), hull.angle + np.pi / 2, speed, hull.angularVelocity

    def act(self, action: np.ndarray) -> None:
        """Steer in [-1, 1], and give gas (1) or brake (-1), for the next frames."""
        steering, pedal = np.clip(action, -1, 1)
        action = np.array([steering, max(pedal, 0.0), max(-pedal, 0.0)])
        for held in range(self._hold):
            self._environment.draws = self._sees and held == self._hold - 1
            picture, reward, ended, _, _ = self._environment.step(action)
            self.reward += float(reward)
            self.frames += 1
            self.off_track += not any(w.tiles for w in self._environment.car.wheels)
            self.over = ended or self.frames >= FRAMES
            if self.over:
                return
        if self._sees:
            self.picture = grey(picture)


def grey(picture: np.ndarray) -> np.ndarray:
    """The luminance of a colour picture (96, 96, 3), each 3 x 3 pixels to one: uint8 (1024,)."""
    blocks = picture.reshape(SIDE, 3, SIDE, 3, 3).sum(axis=(1, 3), dtype="uint16") / 9
    return (blocks @ _LUMINANCE).round().astype("uint8").ravel()


@cache
def _environment_class():
    """CarRacing that draws when it is asked to, and only what can be seen: the same pictures."""
    # Nothing is shown on a screen.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    try:
        from gymnasium.envs.box2d import car_racing
        from gymnasium.error import DependencyNotInstalled
    except ImportError as error:
        raise RuntimeError(_MISSING) from error
    try:
        racing = car_racing.CarRacing
    except DependencyNotInstalled as error:
        raise RuntimeError(_MISSING) from error
    # Farthest from the car that the window shows, and the size of what may reach into it.
    reach = np.hypot(car_racing.WINDOW_W / 2, 0.75 * car_racing.WINDOW_H)
    largest = car_racing.MAX_SHAPE_DIM / (car_racing.ZOOM * car_racing.SCALE)
    field = car_racing.PLAYFIELD * np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    corners = car_racing.GRASS_DIM * np.mgrid[-20:20:2, -20:20:2].reshape(2, -1).T
    patches = [
        [(x + size, y), (x, y), (x, y + size), (x + size, y + size)]
        for size in [car_racing.GRASS_DIM]
        for x, y in corners
    ]

    class Racing(racing):
        draws = True

        def _render(self, mode):
            return super()._render(mode) if self.draws else None

        def _render_road(self, zoom, *view):
            far = reach / zoom + largest
            at = np.array(self.car.hull.position)
            shapes = [(patch, self.grass_color) for patch in _near(patches, corners, at, far)]
            shapes += _near(self.road_poly, [poly[0] for poly, _ in self.road_poly], at, far)
            self._draw_colored_polygon(self.surf, field, self.bg_color, zoom, *view, clip=False)
            for poly, color in shapes:
                color = [int(c) for c in color]
                self._draw_colored_polygon(self.surf, poly, color, zoom, *view)

    return Racing


def _near(shapes, corners, at, far):
    """The shapes, of a corner each, that may be seen."""
    near = (np.abs(np.asarray(corners) - at) < far).all(axis=1)
    return [shapes[i] for i in np.flatnonzero(near)]


_MISSING = "Car racing needs gymnasium and Box2D: pip install lnn-keras[driving]"
