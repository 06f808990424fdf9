"""Preset folders from a web server: fetched once, verified before use, whole or not at all."""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

METADATA = "metadata.json"
MANIFEST = "manifest.json"
HUB = "https://huggingface.co"
TRIES = 3
TIMEOUT = 30.0
# What a broken transfer loses of what came.
_CHUNK = 1 << 12
# No preset is larger; a server that sends more is not believed.
_LARGEST = 2 << 30
_LARGEST_TEXT = 4 << 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class DownloadError(RuntimeError):
    """A preset cannot be fetched, or is not what its server says it is."""


def cache_folder() -> Path:
    """Where fetched presets lie: `LNN_HOME`, or the user's cache."""
    import pooch

    return Path(os.environ.get("LNN_HOME") or pooch.os_cache("lnn-keras")) / "presets"


def is_address(source: str) -> bool:
    """Whether a source is a web address: https://..., or hf://user/repo."""
    return source.startswith(("https://", "http://", "hf://"))


def folder_at(source: str) -> Path:
    """The local copy of the preset folder at an address, fetched if need be.

    What was fetched once is not fetched again; remove its folder to have it anew.

    Args:
        source: https://host/folder, or hf://user/repo, or hf://user/repo@revision.

    Raises:
        ValueError: The address is none, or not encrypted.
        DownloadError: It cannot be fetched, or differs from its digests.
    """
    return _fetched(_url_of(source), None)


def folder_named(name: str) -> Path:
    """The local copy of the preset of a name on the host `LNN_ZOO_URL`.

    Raises:
        ValueError: `LNN_ZOO_URL` is not set, or the host has no preset of that name.
        DownloadError: It cannot be fetched, or differs from its digests.
    """
    host = _host()
    presets = _json(f"{host}/{MANIFEST}").get("presets", {})
    if name not in presets:
        raise ValueError(f"{host} has no preset {name!r}; it has: {', '.join(sorted(presets))}.")
    return _fetched(f"{host}/presets/{name}", presets[name].get(METADATA))


def host_is_set() -> bool:
    """Whether `LNN_ZOO_URL` names a host of presets."""
    return bool(os.environ.get("LNN_ZOO_URL"))


def _host():
    return _url_of(os.environ["LNN_ZOO_URL"])


def _url_of(source):
    if source.startswith("hf://"):
        path, _, revision = source[len("hf://") :].strip("/").partition("@")
        if path.count("/") < 1 or not all(path.split("/")):
            raise ValueError(f"{source} must be hf://user/repo or hf://user/repo@revision.")
        user, repository, *inside = path.split("/")
        return "/".join([HUB, user, repository, "resolve", revision or "main", *inside])
    address = urlsplit(source)
    if address.scheme == "http" and address.hostname not in _LOOPBACK:
        raise ValueError(f"{source} is not encrypted; use https://.")
    return source.rstrip("/")


def _fetched(url, metadata_digest):
    """The folder of a URL in the cache."""
    name = f"{url.rsplit('/', 1)[-1]}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
    folder = cache_folder() / name
    if (folder / METADATA).is_file():
        return folder
    if os.environ.get("LNN_OFFLINE"):
        raise DownloadError(
            f"{url} is not in the cache {cache_folder()}, and LNN_OFFLINE forbids to fetch it."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        with _progress(url) as progress:
            _fetch_files(url, made, metadata_digest, progress)
        made.rename(folder)
    except OSError as error:
        # Another process was faster; its folder was verified as this one would be.
        if not (folder / METADATA).is_file():
            raise DownloadError(f"Cannot keep {url} in {folder.parent}: {error}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _fetch_files(url, made, metadata_digest, progress):
    metadata = made / METADATA
    _fetch(f"{url}/{METADATA}", metadata, metadata_digest, progress, _LARGEST_TEXT)
    digests = _parsed(metadata.read_bytes(), url).get("sha256")
    if not isinstance(digests, dict) or not digests:
        raise DownloadError(f"{url} holds no preset: its {METADATA} records no digests.")
    for name, digest in digests.items():
        # A name with a folder in it could point outside.
        if Path(name).name != name or name == METADATA or not isinstance(digest, str):
            raise DownloadError(f"{url}: {METADATA} names {name!r}, which is no file of a preset.")
        _fetch(f"{url}/{name}", made / name, digest, progress, _LARGEST)


def _json(url):
    if os.environ.get("LNN_OFFLINE"):
        raise DownloadError(f"LNN_OFFLINE forbids to ask {url}.")
    content = bytearray()

    def attempt():
        content.clear()
        for chunk in _chunks(url, 0, _LARGEST_TEXT):
            content.extend(chunk)

    _tried(url, attempt)
    return _parsed(bytes(content), url)


def _parsed(content, url):
    try:
        value = json.loads(content)
    except ValueError as error:
        raise DownloadError(f"{url} answers with something that is no JSON.") from error
    if not isinstance(value, dict):
        raise DownloadError(f"{url} answers with JSON that is no object.")
    return value


def _fetch(url, path, digest, progress, largest):
    """Fetch a file; a transfer that broke off goes on where it was."""

    def attempt():
        start = path.stat().st_size if path.exists() else 0
        with path.open("ab") as file:
            for chunk in _chunks(url, start, largest, restart=lambda: file.truncate(0)):
                file.write(chunk)
                progress(len(chunk))
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest and found != digest:
            path.unlink()
            raise _BrokenError(f"its sha256 is {found[:12]}..., published is {str(digest)[:12]}...")

    _tried(url, attempt)


class _BrokenError(Exception):
    """A transfer that may go better the next time."""


def _tried(url, attempt: Callable[[], object]) -> None:
    import requests

    for number in range(1, TRIES + 1):
        try:
            attempt()
            return
        except (requests.RequestException, _BrokenError) as error:
            response = getattr(error, "response", None)
            refused = response is not None and 400 <= response.status_code < 500
            if number == TRIES or refused:
                raise DownloadError(f"Cannot fetch {url}: {_why(error)}") from error
            time.sleep(0.2 * number)


def _why(error):
    import requests

    if getattr(error, "response", None) is not None:
        return f"status {error.response.status_code}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no server answers"
    return error


def _chunks(url, start, largest, restart=lambda: None):
    """The bytes of a URL from `start` on; all, after `restart`, if the server has no ranges."""
    import requests

    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if start and response.status_code == 416:
            restart()
            raise _BrokenError("the server has less than was there before.")
        response.raise_for_status()
        if start and response.status_code != 206:
            restart()
        expected = response.headers.get("Content-Length")
        received = 0
        for chunk in response.iter_content(_CHUNK):
            received += len(chunk)
            if start + received > largest:
                raise DownloadError(f"{url} sends more than {largest >> 20} MiB; no preset does.")
            yield chunk
        if expected is not None and received != int(expected):
            raise _BrokenError(f"{received:,} of {int(expected):,} bytes came.")


@contextlib.contextmanager
def _progress(url):
    """What counts bytes: a line on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"Fetching {url.rsplit('/', 1)[-1]}", total=None)
        yield lambda count: bar.advance(task, count)
