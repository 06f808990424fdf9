"""Transfers from a web server to a file: checked, tried again, and resumed where they stopped."""

import os
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from typing import IO, Any

from zoo import addresses, http_client
from zoo.extras import extra
from zoo.http_client import Budget, RefusedError

# So many attempts end a transfer in which less than these bytes came.
MAX_ATTEMPTS, _PROGRESS_BYTES = 3, 1 << 16
# Seconds before the second attempt.
PAUSE = 0.2
# An interrupted transfer loses at most one chunk.
_CHUNK_BYTES = 1 << 12
# Responses that another attempt may change, next to those of 500 and above.
_TEMPORARY = (408, 429)

Progress = Callable[[int], object]


class DownloadError(RuntimeError):
    """A file cannot be downloaded, or differs from its published digest.

    Attributes:
        resumes: Whether the transfer broke off, and another call can continue it.
    """

    resumes = False


class _InterruptedError(Exception):
    """A transfer that may succeed when it is tried again."""


def is_offline() -> bool:
    """Whether `LNN_OFFLINE` forbids all downloads: it is set, and not to 0."""
    return os.environ.get("LNN_OFFLINE", "") not in ("", "0")


def require_online(url: str) -> None:
    """Raise a DownloadError that names an address if downloads are forbidden."""
    if is_offline():
        raise DownloadError(f"LNN_OFFLINE is set and forbids to download {url}.")


def transfer(
    url: str,
    file: IO[bytes],
    budget: Budget,
    max_bytes: int,
    size: int | None = None,
    progress: Progress = lambda count: None,
) -> None:
    """Write the content of an address to a file; retry, and resume at the end of the file.

    Args:
        url: The address.
        file: A file that can be read and written. Its content counts as received.
        budget: The time and the bytes that the transfer may take.
        max_bytes: Size limit of the file.
        size: Its exact size, if that is known.
        progress: Called with the number of bytes of each received chunk.

    Raises:
        DownloadError: The content cannot be received. The file keeps the received part.
        OSError: The file cannot be written.
    """
    require_online(url)
    with extra("zoo"):
        import requests  # noqa: F401
    failures = 0
    while True:
        start = file.seek(0, os.SEEK_END)
        try:
            for chunk in _chunks(_content(url, file, budget, max_bytes, size)):
                file.write(chunk)
                progress(len(chunk))
            return
        except RefusedError as error:
            raise DownloadError(f"Cannot fetch {url}: {error}.") from error
        except _InterruptedError as error:
            failures = failures + 1 if file.tell() - start < _PROGRESS_BYTES else 0
            if budget.exceeded or failures == MAX_ATTEMPTS:
                failure = DownloadError(f"Cannot fetch {url}: {budget.exceeded or error}.")
                failure.resumes = True
                raise failure from error
            time.sleep(PAUSE * failures)


def _chunks(content: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks; errors of the connection are `_InterruptedError` or `RefusedError`."""
    from urllib3.exceptions import HTTPError

    while True:
        try:
            chunk = next(content, None)
        # Errors of `requests` are OSErrors; those of urllib3 and http.client pass through it.
        except (OSError, HTTPError, HTTPException, ValueError) as error:
            if _is_certificate_error(error):
                raise RefusedError("the certificate of the server is not valid") from error
            raise _InterruptedError(_reason(error)) from error
        if chunk is None:
            return
        yield chunk


def _content(
    url: str, file: IO[bytes], budget: Budget, max_bytes: int, size: int | None
) -> Iterator[bytes]:
    """The content of a URL from the end of `file` on; `file` is emptied if it must restart."""
    start = file.tell()
    # Compressed responses could grow without limit, and digests are those of the plain files.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with http_client.get(url, headers, budget) as response:
        _require_content(response, start)
        if start and _first_byte(response) != start:
            file.truncate(0)
            start = file.seek(0)
            if response.status_code != 200:
                raise _InterruptedError("the server sent another part of the file than asked for")
        expected = _content_length(response)
        if expected is not None and size not in (None, start + expected):
            raise RefusedError(f"the server announces {start + expected:,} bytes, not {size:,}")
        end = start
        for chunk in response.iter_content(_CHUNK_BYTES):
            end += len(chunk)
            budget.count_content(len(chunk))
            if budget.exceeded:
                raise _InterruptedError(budget.exceeded)
            if end > (max_bytes if size is None else size):
                raise RefusedError(f"it exceeds the size limit of {size or max_bytes:,} bytes")
            yield chunk
        announced = size if size is not None else expected and start + expected
        if announced is not None and end != announced:
            raise _InterruptedError(f"only {end:,} of {announced:,} bytes came")


def _require_content(response: Any, start: int) -> None:
    """Check the status and the encoding of the response to a request from byte `start` on."""
    status = response.status_code
    if status in _TEMPORARY or status >= 500:
        raise _InterruptedError(f"status {status}")
    # Status 416: the part that was received is longer than the file.
    if status != 200 and not (start and status in (206, 416)):
        raise RefusedError(f"status {status}")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise RefusedError(f"the response is compressed ({addresses.shown(encoding)})")


def _first_byte(response: Any) -> int | None:
    """The position of the first byte of a partial response, or None if it is not partial."""
    kind, _, span = response.headers.get("Content-Range", "").partition(" ")
    first = span.partition("-")[0]
    is_partial = response.status_code == 206 and kind == "bytes" and first.isdecimal()
    return int(first) if is_partial and len(first) < 20 else None


def _content_length(response: Any) -> int | None:
    if "Transfer-Encoding" in response.headers:
        return None
    text = response.headers.get("Content-Length")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise RefusedError("its Content-Length is not a number")
    return int(text)


def _is_certificate_error(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, says that a certificate is not valid."""
    while error is not None:
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or "hostname" in type(error).__name__.lower():
            return True
        error = error.__cause__ or error.__context__
    return False


def _reason(error: BaseException) -> str:
    import requests
    from urllib3.exceptions import NewConnectionError

    errors = requests.exceptions
    if isinstance(error, errors.ProxyError):
        return "the proxy does not answer"
    if isinstance(error, errors.SSLError):
        return "no encrypted connection is possible"
    if isinstance(error, errors.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, errors.Timeout) or "timed out" in str(error):
        return "the server sends nothing"
    if isinstance(error, errors.ConnectionError):
        cause = getattr(error.args[0] if error.args else None, "reason", None)
        if isinstance(cause, NewConnectionError):
            return "no server answers"
        return "the server does not answer as HTTP requires"
    return f"the response is invalid ({addresses.shown(str(error) or type(error).__name__)})"
