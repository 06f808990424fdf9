"""Preset folders from a web server: downloaded once, verified, and complete or absent."""

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from zoo import addresses, downloads
from zoo.downloads import DownloadError
from zoo.http_client import Budget
from zoo.hub import preset_files
from zoo.hub.preset_files import METADATA, Published
from zoo.local_files import presets_folder
from zoo.transfers import is_offline

MANIFEST = "manifest.json"
HUB = "https://huggingface.co"
_HUGGING_FACE = re.compile(
    r"hf://(?P<repository>[\w.-]+/[\w.-]+)(?P<inside>(?:/[\w.-]+)*)/?(?:@(?P<revision>[\w./-]+))?",
    re.ASCII | re.IGNORECASE,
)
# Names of presets of a host that an error lists.
_LISTED = 20


def cache_folder() -> Path:
    """The folder of downloaded presets, see `zoo.local_files`."""
    return presets_folder()


def is_address(source: str) -> bool:
    """Whether a source is a web address: https://... or hf://user/repo."""
    return source.lower().startswith(("https://", "http://", "hf://"))


def folder_at(source: str) -> Path:
    """The local copy of the preset folder at an address, downloaded at the first call.

    Later calls ask no server, so they do not see a preset that is published anew at that address:
    remove the local copy, or name another revision of a repository. A local copy that is damaged is
    downloaded again.

    Args:
        source: https://host/folder, hf://user/repo or hf://user/repo@revision.

    Raises:
        ValueError: The address is malformed or not encrypted.
        DownloadError: It cannot be downloaded, or a file differs from its digest.
    """
    return _cached_folder(_url_of(source), Published())


def folder_named(name: str) -> Path:
    """The local copy of the preset with that name on the host `LNN_ZOO_URL`.

    The manifest of the host says whether the local copy is still the published preset.

    Raises:
        ValueError: The host has no preset with that name.
        DownloadError: It cannot be downloaded, or a file differs from its digest.
    """
    host = _url_of(os.environ["LNN_ZOO_URL"])
    presets = downloads.fetch_json(f"{host}/{MANIFEST}").get("presets", {})
    if not isinstance(presets, dict):
        raise DownloadError(f"{host}/{MANIFEST} lists no presets.")
    if name not in presets:
        listed = ", ".join(addresses.shown(known) for known in sorted(presets)[:_LISTED])
        raise ValueError(f"{host} has no preset {name!r}; it has: {listed or 'none'}.")
    url = f"{host}/presets/{name}"
    preset_files.require_names([name], f"{host}/{MANIFEST}")
    return _cached_folder(url, preset_files.published(presets[name], url))


def host_is_set() -> bool:
    """Whether `LNN_ZOO_URL` names a host of presets."""
    return bool(os.environ.get("LNN_ZOO_URL"))


def _url_of(source: str) -> str:
    if not source.lower().startswith("hf://"):
        return addresses.require_accepted(source)
    match = _HUGGING_FACE.fullmatch(source)
    parts = re.split("[/@]", source[len("hf://") :].rstrip("/"))
    if match is None or any(part in ("", ".", "..") for part in parts):
        raise ValueError(
            f"{addresses.shown(source)} must be hf://user/repo or hf://user/repo@revision."
        )
    inside = match["inside"] or ""
    return f"{HUB}/{match['repository']}/resolve/{match['revision'] or 'main'}{inside}"


def _cached_folder(url: str, published: Published) -> Path:
    folder, work = _folders(url, published.digest)
    if preset_files.is_whole(folder, published.digest):
        # A kill right after the replacement leaves the replaced folder.
        _remove_unused(work)
        return folder
    if is_offline():
        state = "is damaged" if folder.exists() else "is not"
        raise DownloadError(
            f"{url} {state} in the cache {cache_folder()}, and LNN_OFFLINE is set, "
            "which forbids to download it."
        )
    from lnn_keras.atomic_folder import recover, replace_folder

    try:
        with downloads.lock(work), _removed_if_empty(work):
            recover(folder)
            # Another process may have downloaded it meanwhile.
            if not preset_files.is_whole(folder, published.digest):
                _download(url, work, published)
                replace_folder(work, folder)
                _remove_parts_of_others(url, work)
    except DownloadError as error:
        if not error.resumes:
            shutil.rmtree(work, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise DownloadError(
            f"Cannot write {url} to {folder.parent}: {error.strerror or error}; "
            "LNN_HOME names another folder."
        ) from error
    return folder


def _folders(url: str, digest: str | None) -> tuple[Path, Path]:
    """The folder of a preset in the cache, and the hidden folder in which it is downloaded."""
    name = _name_of(url) + (f"-{digest[:16]}" if digest else "")
    return cache_folder() / name, cache_folder() / f".{name}.download"


def _name_of(url: str) -> str:
    """A name for the folders of an address: its end, and a digest of all of it."""
    end = re.sub(r"[^A-Za-z0-9._-]", "_", url.rsplit("/", 1)[-1]).strip(".")[:64]
    return f"{end}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def _download(url: str, folder: Path, published: Published) -> None:
    """Fill a folder with the files of a preset; files that it already holds are kept."""
    budget = Budget(published.bytes)
    room = published.bytes
    with downloads.progress_bar(f"Downloading {url.rsplit('/', 1)[-1]}") as progress:
        path = folder / METADATA
        downloads.fetch_file(
            f"{url}/{METADATA}",
            path,
            published.digest,
            budget,
            downloads.MAX_JSON_BYTES,
            size=published.size(METADATA),
            progress=progress,
        )
        listed = preset_files.digests(path.read_bytes(), url)
        if published.sizes and published.sizes.keys() != {METADATA, *listed}:
            raise DownloadError(f"{url}: {METADATA} lists other files than the manifest.")
        for name, digest in listed.items():
            downloads.fetch_file(
                f"{url}/{name}",
                folder / name,
                digest,
                budget,
                room,
                size=published.size(name),
                progress=progress,
            )
            room -= (folder / name).stat().st_size
    for path in folder.iterdir():
        if path.name != METADATA and path.name not in listed:
            path.unlink()


@contextlib.contextmanager
def _removed_if_empty(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_parts_of_others(url: str, work: Path) -> None:
    """Delete the received parts of earlier publications at the same address."""
    for other in work.parent.glob(f".{_name_of(url)}-*.download"):
        if other != work:
            _remove_unused(other)


def _remove_unused(work: Path) -> None:
    """Delete a hidden folder that no process works on."""
    from lnn_keras.folder_lock import try_lock

    with contextlib.suppress(OSError):
        if work.exists() and (held := try_lock(work)):
            shutil.rmtree(work, ignore_errors=True)
            held.release()
