"""Preset folders from a web server: downloaded once, verified, and complete or absent."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from zoo import downloads
from zoo.downloads import DownloadError
from zoo.local_files import presets_folder

METADATA = "metadata.json"
MANIFEST = "manifest.json"
HUB = "https://huggingface.co"


def cache_folder() -> Path:
    """The folder of downloaded presets, see `zoo.local_files`."""
    return presets_folder()


def is_address(source: str) -> bool:
    """Whether a source is a web address: https://... or hf://user/repo."""
    return source.startswith(("https://", "http://", "hf://"))


def folder_at(source: str) -> Path:
    """The local copy of the preset folder at an address, downloaded at the first call.

    Remove the local copy to download it again.

    Args:
        source: https://host/folder, hf://user/repo or hf://user/repo@revision.

    Raises:
        ValueError: The address is malformed or not encrypted.
        DownloadError: It cannot be downloaded, or a file differs from its digest.
    """
    return _cached_folder(_url_of(source), None)


def folder_named(name: str) -> Path:
    """The local copy of the preset with that name on the host `LNN_ZOO_URL`.

    Raises:
        ValueError: The host has no preset with that name.
        DownloadError: It cannot be downloaded, or a file differs from its digest.
    """
    host = _url_of(os.environ["LNN_ZOO_URL"])
    presets = downloads.fetch_json(f"{host}/{MANIFEST}").get("presets", {})
    if name not in presets:
        raise ValueError(f"{host} has no preset {name!r}; it has: {', '.join(sorted(presets))}.")
    return _cached_folder(f"{host}/presets/{name}", presets[name].get(METADATA))


def host_is_set() -> bool:
    """Whether `LNN_ZOO_URL` names a host of presets."""
    return bool(os.environ.get("LNN_ZOO_URL"))


def _url_of(source: str) -> str:
    if not source.startswith("hf://"):
        return downloads.require_encrypted(source)
    path, _, revision = source[len("hf://") :].strip("/").partition("@")
    if path.count("/") < 1 or not all(path.split("/")):
        raise ValueError(f"{source} must be hf://user/repo or hf://user/repo@revision.")
    user, repository, *inside = path.split("/")
    return "/".join([HUB, user, repository, "resolve", revision or "main", *inside])


def _cached_folder(url: str, metadata_digest: str | None) -> Path:
    name = f"{url.rsplit('/', 1)[-1]}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
    folder = cache_folder() / name
    if (folder / METADATA).is_file():
        return folder
    if os.environ.get("LNN_OFFLINE"):
        raise DownloadError(
            f"{url} is not in the cache {cache_folder()}, and LNN_OFFLINE forbids to download it."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        _download(url, temporary, metadata_digest)
        temporary.rename(folder)
    except OSError as error:
        # Another process may have finished first; it verified its folder in the same way.
        if not (folder / METADATA).is_file():
            raise DownloadError(f"Cannot write {url} to {folder.parent}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _download(url: str, folder: Path, metadata_digest: str | None) -> None:
    with downloads.progress_bar(f"Downloading {url.rsplit('/', 1)[-1]}") as progress:
        metadata = downloads.fetch_files(
            url,
            folder,
            {METADATA: metadata_digest},
            max_bytes=downloads.MAX_JSON_BYTES,
            progress=progress,
        )[METADATA]
        digests = downloads.parse_json_object(metadata.read_bytes(), url).get("sha256")
        if not isinstance(digests, dict) or not digests:
            raise DownloadError(f"{url} holds no preset: its {METADATA} records no digests.")
        for name, digest in digests.items():
            # A name with a folder in it could point outside of the local folder.
            if Path(name).name != name or name == METADATA or not isinstance(digest, str):
                raise DownloadError(
                    f"{url}: {METADATA} names {name!r}, which is no file of a preset."
                )
        downloads.fetch_files(url, folder, digests, progress=progress)
