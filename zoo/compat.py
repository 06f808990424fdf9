"""Private parts of Keras, KerasTuner and gymnasium that the zoo uses, one function for each."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Polygon = tuple[Any, Any, bool]


def is_seed_state(variable: Any) -> bool:
    """Whether a variable is the state of a `SeedGenerator` (Keras 3.12 to 3.15).

    No public method lists the seed generators of a model; they are known by the variable's name.
    """
    return variable.name == "seed_generator_state"


def object_sharing() -> contextlib.AbstractContextManager[Any]:
    """A scope in which a config's objects with one identity become one object (Keras 3.12 to 3.15).

    `keras.saving.load_model` opens it; `keras.saving.deserialize_keras_object` does not.
    """
    from keras.src.saving.serialization_lib import ObjectSharingScope

    return ObjectSharingScope()


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """A scope in which new variables have shapes, but no values (Keras 3.12 to 3.15).

    `keras.StatelessScope` puts new variables on a list, from which the end of the next such scope
    would give them values.
    """
    import keras
    from keras.src.backend.common import global_state

    pending = "uninitialized_variables"
    before = list(global_state.get_global_attribute(pending) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(pending, before)


def retry_trial(oracle: Any, tuner_id: str, trial_id: str) -> None:
    """Give the trial of a lost worker to the next worker (KerasTuner 1.4.7 and 1.4.8).

    The public interface retries a trial only if its own worker reports a failure.
    """
    oracle.ongoing_trials.pop(tuner_id)
    oracle.tuner_ids.discard(tuner_id)
    oracle._retry_queue.append(trial_id)


def with_render_hooks(
    car_racing: type, road_polygons: Callable[[Any, float], Iterable[Polygon]]
) -> type:
    """A CarRacing class that renders on demand, and only the given polygons (gymnasium 1.4).

    The public interface renders every frame, and all of the track.

    Args:
        car_racing: `gymnasium.envs.box2d.car_racing.CarRacing`.
        road_polygons: Function from an environment and its zoom to (polygon, color, clip).

    Returns:
        A subclass with the attribute `draws`, whether the next frames are rendered.
    """

    class Racing(car_racing):
        draws = True

        def _render(self, mode: str) -> Any:
            return super()._render(mode) if self.draws else None

        def _render_road(self, zoom: float, translation: Any, angle: float) -> None:
            for polygon, color, clip in road_polygons(self, zoom):
                self._draw_colored_polygon(
                    self.surf, polygon, color, zoom, translation, angle, clip
                )

    return Racing
