"""GET requests that end: every byte from the network counts, in time and in number.

Timeouts of `requests` restart with each byte, and it reads headers without a limit of its own. Here
a budget is asked before every read from the socket: headers, chunk sizes and content alike.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from zoo import addresses, compat
from zoo.extras import extra

if TYPE_CHECKING:
    import requests

MAX_REDIRECTS = 5
# Seconds without a byte after which a connection counts as broken.
SILENCE = 10.0
# Seconds before the minimum rate applies, the rate in bytes per second, and the limit in any case.
GRACE, MIN_RATE, MAX_SECONDS = 30.0, 4096, 3600.0
# How often the bytes of a budget may come, in transfers that start again.
_REPEATS = 3
# Bytes of headers and chunk sizes beyond those of the content.
_OVERHEAD = 1 << 20


class _NoDefects(logging.Filter):
    """Drops the traceback that urllib3 logs for malformed headers, which it can read."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("Failed to parse headers")


# Logging ignores a filter that it has.
_NO_DEFECTS = _NoDefects()


class RefusedError(Exception):
    """A response that another attempt would not change."""


class Budget:
    """The time and the bytes that transfers may take, all together.

    The deadline moves with the content received: start + grace + received / rate.

    Args:
        max_bytes: Bytes of content; transfers that start again may take them several times.
        grace: Seconds before the minimum rate applies.
        rate: The minimum rate in bytes per second.
        seconds: The limit of time in any case.
    """

    def __init__(
        self,
        max_bytes: int,
        grace: float | None = None,
        rate: float | None = None,
        seconds: float | None = None,
    ):
        self.max_bytes = max_bytes
        self._grace = GRACE if grace is None else grace
        self._rate = rate or MIN_RATE
        self._seconds = seconds or MAX_SECONDS
        self._start = time.monotonic()
        self._content = self._network = 0

    @property
    def seconds_left(self) -> float:
        """Seconds to the deadline; negative afterwards."""
        allowed = min(self._seconds, self._grace + self._content / self._rate)
        return self._start + allowed - time.monotonic()

    @property
    def exceeded(self) -> str | None:
        """Why no more may be received, or None."""
        if self._content > _REPEATS * self.max_bytes:
            return f"it sent {_size(self._content)}, which is too much"
        if self._network > 2 * self._content + _OVERHEAD:
            return "its headers are too long"
        spent = time.monotonic() - self._start
        if spent > self._seconds:
            return f"it takes longer than {self._seconds:.0f} s"
        if self.seconds_left <= 0:
            return f"it sent {_size(self._content)} in {spent:.0f} s, which is too slow"
        return None

    def count_network(self, count: int) -> None:
        """Count bytes from the network."""
        self._network += count

    def count_content(self, count: int) -> None:
        """Count bytes of content."""
        self._content += count


@contextlib.contextmanager
def get(url: str, headers: dict[str, str], budget: Budget) -> Iterator["requests.Response"]:
    """Send a GET request, and follow redirects to accepted addresses.

    Raises:
        RefusedError: A redirect leads to an address that is not accepted, or to too many.
    """
    with extra("zoo"):
        import requests

    logging.getLogger("urllib3.connection").addFilter(_NO_DEFECTS)
    address = url
    for _ in range(MAX_REDIRECTS + 1):
        with requests.Session() as session:
            compat.limit_reads(session, lambda: _before_read(budget), budget.count_network)
            # A proxy would take its own machine for this one.
            session.trust_env = not addresses.parse(address).is_loopback
            connect = max(min(SILENCE, budget.seconds_left), 0.001)
            with session.get(
                address,
                headers=headers,
                stream=True,
                timeout=(connect, SILENCE),
                allow_redirects=False,
            ) as response:
                if not response.is_redirect:
                    yield response
                    return
                location = response.headers["Location"]
        previous, address = address, urljoin(address, location)
        try:
            addresses.require_accepted_redirect(previous, address)
        except ValueError as error:
            raise RefusedError(f"it redirects to {addresses.shown(address)}, {error}") from None
    raise RefusedError(f"it redirects more than {MAX_REDIRECTS} times")


def _before_read(budget: Budget) -> float:
    """Seconds that the next read from the network may take."""
    if budget.exceeded:
        raise TimeoutError(budget.exceeded)
    return max(min(SILENCE, budget.seconds_left), 0.001)


def _size(count: int) -> str:
    return f"{count / (1 << 20):.4g} MiB" if count >= 1 << 20 else f"{count:,} bytes"
