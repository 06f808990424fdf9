"""The HTTP client of the zoo, for presets and datasets: pooch with a downloader that resumes.

Files are verified by SHA-256 before they appear under their names. Connections are encrypted,
except to this machine; redirects must be encrypted as well. `LNN_OFFLINE` forbids all requests.
"""

import contextlib
import io
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urljoin

from zoo.extras import extra

if TYPE_CHECKING:
    import requests
    from urllib3.util import Url

MAX_ATTEMPTS = 3
TIMEOUT = 30.0
MAX_REDIRECTS = 5
# Size limits of responses: a file, and JSON text.
MAX_FILE_BYTES = 2 << 30
MAX_JSON_BYTES = 4 << 20
# An interrupted transfer loses at most one chunk.
_CHUNK_BYTES = 1 << 12
_LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")

Progress = Callable[[int], object]


class DownloadError(RuntimeError):
    """A file cannot be downloaded, or differs from its published digest."""


class _InterruptedError(Exception):
    """A transfer that may succeed when it is tried again."""


class _Downloader:
    """A pooch downloader with retries, resumption and a size limit."""

    def __init__(self, max_bytes: int, progress: Progress):
        self._max_bytes, self._progress = max_bytes, progress

    def __call__(
        self, fname: str, action: Any, pooch: Any, *, check_only: bool | None = None
    ) -> None:
        # pooch passes the URL as `fname` and the path of a temporary file as `action`.
        with open(action, "wb") as file:
            _transfer(fname, file, self._max_bytes, self._progress)


def require_encrypted(url: str) -> str:
    """Return a URL without a trailing slash.

    Raises:
        ValueError: It is neither https:// nor an address of this machine.
    """
    if not _is_encrypted(url) and not _is_loopback(url):
        raise ValueError(f"{url} is not encrypted; use https://.")
    return url.rstrip("/")


def fetch_files(
    url: str,
    folder: Path,
    digests: Mapping[str, str | None],
    *,
    max_bytes: int = MAX_FILE_BYTES,
    progress: Progress = lambda count: None,
) -> dict[str, Path]:
    """Download the files of a web folder that a local folder lacks.

    Args:
        url: Address of the web folder.
        folder: The local folder. Each file appears in it complete and verified, or not at all.
        digests: Name of each file -> its SHA-256, or None if it is not known.
        max_bytes: Size limit of a file.
        progress: Called with the number of bytes of each received chunk.

    Returns:
        The path of each file.

    Raises:
        DownloadError: A file cannot be downloaded, or differs from its digest.
    """
    with extra("zoo"):
        import pooch

    client = pooch.create(path=folder, base_url=f"{url.rstrip('/')}/", registry=dict(digests))
    downloader = _Downloader(max_bytes, progress)
    paths = {}
    with _silent(pooch.get_logger()):
        for name, digest in digests.items():
            try:
                paths[name] = Path(client.fetch(name, downloader=downloader))
            except ValueError as error:
                raise DownloadError(
                    f"Cannot fetch {client.get_url(name)}: its sha256 is not the published one "
                    f"({str(digest)[:12]}...)."
                ) from error
    return paths


def fetch_json(url: str) -> dict[str, Any]:
    """The JSON object at an address.

    Raises:
        DownloadError: It cannot be downloaded, or is not a JSON object.
    """
    content = io.BytesIO()
    _transfer(url, content, MAX_JSON_BYTES, lambda count: None)
    return parse_json_object(content.getvalue(), url)


def parse_json_object(content: bytes, url: str) -> dict[str, Any]:
    """The JSON object in a response of `url`.

    Raises:
        DownloadError: The content is not a JSON object.
    """
    try:
        value = json.loads(content)
    except ValueError as error:
        raise DownloadError(f"The response of {url} holds no JSON.") from error
    if not isinstance(value, dict):
        raise DownloadError(f"The response of {url} is JSON, but not an object.")
    return value


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A progress bar of received bytes on a terminal; nothing if stderr is redirected."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    with extra("zoo"):
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda count: bar.advance(task, count)


def _transfer(url: str, file: IO[bytes], max_bytes: int, progress: Progress) -> None:
    """Write the content of a URL to a file; retry, and resume where the transfer stopped."""
    if os.environ.get("LNN_OFFLINE"):
        raise DownloadError(f"LNN_OFFLINE forbids to ask {url}.")
    with extra("zoo"):
        import requests

    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            for chunk in _chunks(url, file, max_bytes):
                file.write(chunk)
                progress(len(chunk))
            return
        except (requests.RequestException, _InterruptedError) as error:
            response = getattr(error, "response", None)
            is_client_error = response is not None and 400 <= response.status_code < 500
            if attempt == MAX_ATTEMPTS or is_client_error:
                raise DownloadError(f"Cannot fetch {url}: {_reason(error)}.") from error
            time.sleep(0.2 * attempt)


def _chunks(url: str, file: IO[bytes], max_bytes: int) -> Iterator[bytes]:
    """The content of a URL from the end of `file` on; `file` is emptied if it must restart."""
    start = file.seek(0, os.SEEK_END)
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with _open(url, headers) as response:
        if start and response.status_code != 206:
            file.truncate(0)
            start = file.seek(0)
        if response.status_code == 416:
            raise _InterruptedError("the file on the server is shorter than the part received")
        response.raise_for_status()
        expected = response.headers.get("Content-Length")
        received = 0
        for chunk in response.iter_content(_CHUNK_BYTES):
            received += len(chunk)
            if start + received > max_bytes:
                raise DownloadError(f"{url} exceeds the size limit of {max_bytes >> 20} MiB.")
            yield chunk
        if expected is not None and received != int(expected):
            raise _InterruptedError(f"only {received:,} of {int(expected):,} bytes came")


def _open(url: str, headers: dict[str, str]) -> "requests.Response":
    """Send a GET request and follow redirects to encrypted addresses."""
    import requests

    address = url
    for _ in range(MAX_REDIRECTS + 1):
        response = requests.get(
            address, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=False
        )
        if not response.is_redirect:
            return response
        response.close()
        previous, address = address, urljoin(address, response.headers["Location"])
        if not _is_encrypted(address) and not (_is_loopback(previous) and _is_loopback(address)):
            raise DownloadError(f"{url} redirects to {address}, which is not encrypted.")
    raise DownloadError(f"{url} redirects more than {MAX_REDIRECTS} times.")


def _is_encrypted(url: str) -> bool:
    return _parse(url).scheme == "https"


def _is_loopback(url: str) -> bool:
    parsed = _parse(url)
    return parsed.scheme == "http" and parsed.host in _LOOPBACK


def _parse(url: str) -> "Url":
    # The parser that requests uses: urllib.parse reads another host in http://a\@127.0.0.1/.
    with extra("zoo"):
        from urllib3.exceptions import LocationParseError
        from urllib3.util import parse_url
    try:
        return parse_url(url)
    except LocationParseError as error:
        raise ValueError(f"{url} is not a valid address.") from error


def _reason(error: Exception) -> str:
    import requests

    response = getattr(error, "response", None)
    if response is not None:
        return f"status {response.status_code}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no server answers"
    return str(error)


@contextlib.contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    """Suppress pooch's line for each file; it logs to stderr at level INFO."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
