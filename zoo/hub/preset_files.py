"""The files of a downloaded preset: their names, digests and sizes, from untrusted lists."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.addresses import shown
from zoo.downloads import MAX_JSON_BYTES, DownloadError, parse_json_object
from zoo.local_files import sha256

METADATA = "metadata.json"
# Limits of a preset: the number of its files, and their bytes where none are stated.
MAX_FILES, MAX_BYTES = 16, 1 << 30

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?<!\.)", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")
# Names of devices on Windows, with any suffix.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Published:
    """The statements of a host about a preset.

    Attributes:
        digest: SHA-256 of its metadata.json; None if that is not known.
        sizes: Bytes of each file by name; empty if they are not known.
    """

    digest: str | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """The bytes of all files, or the limit."""
        return sum(self.sizes.values()) if self.sizes else MAX_BYTES

    def size(self, name: str) -> int | None:
        """The bytes of a file, or None if they are not known."""
        return self.sizes.get(name)


def published(entry: Any, where: str) -> Published:
    """Read the entry of a preset in a manifest.

    Raises:
        DownloadError: It states no digest, or sizes that cannot be right.
    """
    entry = entry if isinstance(entry, dict) else {}
    digest, sizes = entry.get(METADATA), entry.get("files", {})
    if not _is_digest(digest):
        raise DownloadError(f"{where}: the manifest states no sha256 of {METADATA}.")
    if not isinstance(sizes, dict) or not all(_is_size(size) for size in sizes.values()):
        raise DownloadError(f"{where}: the manifest states sizes that are no numbers of bytes.")
    if sizes:
        require_names(sizes, where)
        if METADATA not in sizes or sum(sizes.values()) > MAX_BYTES:
            raise DownloadError(
                f"{where}: the manifest must state the size of {METADATA}, and at most "
                f"{MAX_BYTES >> 20} MiB in all."
            )
    return Published(digest, sizes)


def digests(metadata: bytes, where: str) -> dict[str, str]:
    """The digests of a preset's files other than metadata.json, by name.

    Raises:
        DownloadError: There are none, or a name or a digest is not allowed.
    """
    recorded = parse_json_object(metadata, where).get("sha256")
    if not isinstance(recorded, dict) or not recorded:
        raise DownloadError(f"{where} holds no preset: its {METADATA} records no digests.")
    require_names([METADATA, *recorded], where)
    wrong = [name for name, digest in recorded.items() if not _is_digest(digest)]
    if wrong:
        raise DownloadError(f"{where}: the sha256 of {wrong[0]} is not 64 hexadecimal digits.")
    return recorded


def require_names(names: Any, where: str) -> None:
    """Check the names of files for all systems: no folders, no equal names, no devices.

    Raises:
        DownloadError: A name is not allowed, or there are too many.
    """
    if len(names) > MAX_FILES:
        raise DownloadError(f"{where} lists {len(names)} files; a preset has at most {MAX_FILES}.")
    seen: set[str] = set()
    for name in names:
        if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name) or name.lower() in seen:
            raise DownloadError(f"{where} names '{shown(name)}', which is no file of a preset.")
        seen.add(name.lower())


def is_whole(folder: Path, digest: str | None) -> bool:
    """Whether a folder holds exactly the files that its metadata.json lists, undamaged."""
    path = folder / METADATA
    try:
        if path.stat().st_size > MAX_JSON_BYTES or (digest and sha256(path) != digest):
            return False
        listed = digests(path.read_bytes(), str(folder))
        names = {entry.name for entry in folder.iterdir()}
        return names == {METADATA, *listed} and all(
            sha256(folder / name) == listed[name] for name in listed
        )
    except (OSError, DownloadError):
        return False


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_BYTES
