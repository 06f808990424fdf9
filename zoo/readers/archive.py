"""Zip archives: their members in memory, with limits on names, number and size."""

import io
import zipfile
from pathlib import PurePosixPath

from zoo.readers.files import FileError, reason

MAX_MEMBERS = 10_000
MAX_CONTENT_BYTES = 4 << 30
# Above this size, an archive may unpack to at most a multiple of its own size.
FREE_BYTES = 256 << 20
MAX_EXPANSION = 100


def members(content: bytes, name: str) -> dict[str, bytes]:
    """All members of an archive by name; nothing is written to disk.

    Args:
        content: The bytes of the archive.
        name: Name of the file, for errors.

    Raises:
        FileError: It is damaged or encrypted, names a member twice or outside of itself, or
            unpacks to too much.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            fault = _fault(archive.infolist(), len(content))
            if fault is None:
                return {info.filename: archive.read(info) for info in archive.infolist()}
    # Damaged archives raise errors of zipfile, zlib, lzma, struct and many built-in ones.
    except Exception as error:
        raise FileError(f"{name} is no intact zip archive: {reason(error)}.") from error
    raise FileError(f"{name} {fault}.")


def _fault(infos: list[zipfile.ZipInfo], archive_bytes: int) -> str | None:
    names = [info.filename for info in infos]
    if len(names) > MAX_MEMBERS:
        return f"holds {len(names):,} members; the limit is {MAX_MEMBERS:,}"
    for member in names:
        path = PurePosixPath(member)
        if path.is_absolute() or ".." in path.parts or "\\" in member or "\0" in member:
            return f"names the member {member[:80]!r}, which lies outside of the archive"
    if len(set(names)) < len(names):
        return f"names the member {max(names, key=names.count)[:80]!r} twice"
    unpacked = sum(info.file_size for info in infos)
    most = min(MAX_CONTENT_BYTES, max(FREE_BYTES, MAX_EXPANSION * archive_bytes))
    if unpacked > most:
        return f"unpacks from {archive_bytes:,} to {unpacked:,} bytes; the limit is {most:,}"
    return None
