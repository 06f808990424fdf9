"""Private parts of other libraries that the zoo uses, one function for each."""

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

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


def limit_reads(
    session: "requests.Session",
    before_read: Callable[[], float],
    after_read: Callable[[int], None],
) -> None:
    """Call functions around every read of a session from its sockets (requests 2.31, urllib3 2).

    The timeouts of the public interface apply to single reads; a server that sends a byte now and
    then never reaches them. http.client makes its responses by the attribute `response_class`.

    Args:
        session: The session.
        before_read: Function () -> the seconds that the next read may take. It may raise OSErrors.
        after_read: Called with the number of bytes that were read.
    """
    from requests.adapters import HTTPAdapter

    class Response(HTTPResponse):
        def __init__(self, sock: Any, *arguments: Any, **options: Any):
            super().__init__(sock, *arguments, **options)
            raw = self.fp.detach()  # pyright: ignore[reportAttributeAccessIssue] # BufferedReader
            self.fp = io.BufferedReader(_LimitedReader(raw, sock, before_read, after_read))

    def limited(pool: Any) -> Any:
        connection = pool.ConnectionCls
        if not issubclass(getattr(connection, "response_class", HTTPResponse), Response):
            named = {"response_class": Response}
            pool.ConnectionCls = type(connection.__name__, (connection,), named)
        return pool

    class Adapter(HTTPAdapter):
        def get_connection(self, *arguments: Any, **options: Any) -> Any:
            return limited(super().get_connection(*arguments, **options))

        def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
            return limited(super().get_connection_with_tls_context(*arguments, **options))

    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter())


class _LimitedReader(io.RawIOBase):
    """Reads from a socket; calls a function before and after each read."""

    def __init__(
        self,
        raw: Any,
        sock: Any,
        before_read: Callable[[], float],
        after_read: Callable[[int], None],
    ):
        super().__init__()
        self._raw, self._socket = raw, sock
        self._before_read, self._after_read = before_read, after_read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(self._before_read())
        count = self._raw.readinto(buffer)
        self._after_read(count or 0)
        return count

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()


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
