"""Files and JSON from web servers, for presets and datasets: verified, resumed, and bounded.

A file appears under its name after its SHA-256 is verified. What an interrupted transfer received
is kept in a hidden file, and the next transfer continues there. Of several processes that want the
same folder, one downloads. Connections are encrypted, except to this machine. `LNN_OFFLINE` forbids
all requests.
"""

import contextlib
import glob
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo import http_client
from zoo.extras import extra
from zoo.http_client import Budget
from zoo.local_files import sha256
from zoo.transfers import DownloadError, Progress, require_online, transfer

# Size limits of responses: a file, and JSON text.
MAX_FILE_BYTES = 2 << 30
MAX_JSON_BYTES = 4 << 20


def fetch_files(
    url: str,
    folder: Path,
    digests: Mapping[str, str],
    *,
    max_bytes: int = MAX_FILE_BYTES,
    progress: Progress = lambda count: None,
) -> dict[str, Path]:
    """Download the files of a web folder that a local folder lacks.

    One process or thread downloads; others wait for it.

    Args:
        url: Address of the web folder.
        folder: The local folder. Each file appears in it complete and verified, or not at all.
        digests: Name of each file -> its SHA-256.
        max_bytes: Size limit of a file.
        progress: Called with the number of bytes of each received chunk.

    Returns:
        The path of each file.

    Raises:
        DownloadError: A file cannot be downloaded or written, or differs from its digest.
    """
    paths = {name: folder / name for name in digests}
    address = url.rstrip("/")
    with _write_errors(folder):
        missing = [n for n, digest in digests.items() if not _is_verified(paths[n], digest)]
        if not missing:
            return paths
        require_online(f"{address}/{missing[0]}")
        with lock(folder):
            for name, digest in digests.items():
                path, budget = paths[name], Budget(max_bytes)
                fetch_file(f"{address}/{name}", path, digest, budget, max_bytes, progress=progress)
    return paths


def fetch_file(
    url: str,
    path: Path,
    digest: str | None,
    budget: Budget,
    max_bytes: int,
    *,
    size: int | None = None,
    progress: Progress = lambda count: None,
) -> None:
    """Download a file, unless the path holds it; the caller holds the lock of the folder.

    Args:
        url: Its address.
        path: Where to write it.
        digest: Its SHA-256; None accepts any content, and does not resume.
        budget: The time and the bytes that it may take, with those of other files.
        max_bytes: Its size limit.
        size: Its number of bytes, if that is known.
        progress: Called with the number of bytes of each received chunk.

    Raises:
        DownloadError: It cannot be downloaded, or differs from its digest or size.
        OSError: It cannot be written. Nothing of it is left.
    """
    if digest and _is_verified(path, digest):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path, digest)
    _remove_other_partials(path, partial)
    while True:
        resumed = partial.exists()
        try:
            # A killed process may have received everything.
            if not (digest and _is_verified(partial, digest)):
                with partial.open("r+b" if resumed else "w+b") as file:
                    transfer(url, file, budget, max_bytes, size, progress)
                    os.fsync(file.fileno())
            if digest is None or _is_verified(partial, digest):
                partial.replace(path)
                return
        except (OSError, DownloadError) as error:
            interrupted = isinstance(error, DownloadError) and error.resumes
            if digest is None or not interrupted or not partial.stat().st_size:
                partial.unlink(missing_ok=True)
            raise
        partial.unlink()
        # The part that was already there may be wrong: one more try from the start.
        if not resumed:
            raise DownloadError(
                f"Cannot fetch {url}: its sha256 is not the published one ({digest[:12]}...)."
            )


def fetch_json(url: str) -> dict[str, Any]:
    """The JSON object at an address.

    Raises:
        DownloadError: It cannot be downloaded, or is not a JSON object.
    """
    content = io.BytesIO()
    transfer(url, content, Budget(MAX_JSON_BYTES), MAX_JSON_BYTES)
    return parse_json_object(content.getvalue(), url)


def parse_json_object(content: bytes, url: str) -> dict[str, Any]:
    """The JSON object in a response of `url`.

    Raises:
        DownloadError: The content is not a JSON object, or a name in it occurs twice.
    """
    try:
        value = json.loads(content, object_pairs_hook=_without_duplicates)
    # A text of brackets nests deeper than Python's stack.
    except (ValueError, RecursionError) as error:
        raise DownloadError(f"The response of {url} holds no JSON, or a name twice.") from error
    if not isinstance(value, dict):
        raise DownloadError(f"The response of {url} is JSON, but not an object.")
    return value


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; without a lock on filesystems that have none.

    Raises:
        OSError: The folder cannot be made, or another process holds the lock for too long.
    """
    from lnn_keras.folder_lock import NoLocksError, folder_lock

    with contextlib.ExitStack() as stack:
        # Downloads end within their budget, and the lock of a process with the process.
        with contextlib.suppress(NoLocksError):
            stack.enter_context(folder_lock(folder, 2 * http_client.MAX_SECONDS))
        yield


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


@contextlib.contextmanager
def _write_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the disk into a DownloadError."""
    try:
        yield
    except OSError as error:
        raise DownloadError(f"Cannot write to {folder}: {error.strerror or error}.") from error


def _is_verified(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest


def _partial(path: Path, digest: str | None) -> Path:
    """The hidden file that holds the received part of a file."""
    return path.with_name(f".{path.name}.{digest[:16] if digest else 'new'}.part")


def _remove_other_partials(path: Path, partial: Path) -> None:
    """Delete the parts of files that earlier had this name; those without a digest, too."""
    for other in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if other != partial or partial.name.endswith(".new.part"):
            other.unlink()


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name occurs twice")
    return dict(pairs)
