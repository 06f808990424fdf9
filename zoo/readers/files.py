"""Regular files of a limited size as bytes."""

import os
import stat
from pathlib import Path

from zoo.readers.text import printable

MAX_FILE_BYTES = 2 << 30
_REASON_LENGTH = 200


class FileError(ValueError):
    """A file is missing, damaged or not allowed; the message names the file and the cause."""


def require_file(path: str | Path) -> Path:
    """Return the path of a regular file.

    Raises:
        FileError: There is no such file, or it is a folder, a pipe or a device.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise FileError(f"There is no file {shown(path)}.") from None
    except (OSError, ValueError) as error:
        raise FileError(f"{shown(path)} cannot be read: {reason(error)}.") from error
    if stat.S_ISDIR(mode):
        raise FileError(f"{shown(path)} is a folder, not a file.")
    if not stat.S_ISREG(mode):
        raise FileError(f"{shown(path)} is no regular file, but a pipe, a socket or a device.")
    return Path(path)


def content(path: str | Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a regular file.

    Raises:
        FileError: There is no such file, it cannot be read, it is empty, or it is too large.
    """
    path = require_file(path)
    try:
        with path.open("rb") as file:
            read = file.read(max_bytes + 1)
    except (OSError, MemoryError) as error:
        raise FileError(f"{shown(path)} cannot be read: {reason(error)}.") from error
    if not read:
        raise FileError(f"{shown(path)} is empty: it holds 0 bytes.")
    if len(read) > max_bytes:
        raise FileError(f"{shown(path)} holds more than {max_bytes:,} bytes, the limit.")
    return read


def read_text(path: str | Path, max_bytes: int = MAX_FILE_BYTES) -> str:
    """The text of a file in UTF-8.

    Raises:
        FileError: See `content`; or the file is no such text.
    """
    try:
        return content(path, max_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(f"{shown(path)} is no text in UTF-8.") from error


def shown(path: str | Path) -> str:
    """A path as one line of text without control characters."""
    return printable(str(path))


def reason(error: BaseException) -> str:
    """An error of a library as one short line without a full stop."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = " ".join(printable(text, keep="\n").split()).rstrip(".")
    if len(line) > _REASON_LENGTH:
        line = line[:_REASON_LENGTH] + "..."
    return line or type(error).__name__
