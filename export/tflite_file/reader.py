"""Reads .tflite files from disk: each failure is one error that names the file and the cause."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from export.tflite_file.structure import FileError
from export.tflite_file.verifier import require_sound

REPORT = "report.json"


def read_file(path: str | Path) -> bytes:
    """Read and verify a .tflite file; see `export.read_file`.

    Args:
        path: The file.

    Returns:
        Its bytes.

    Raises:
        ValueError: There is no such file, it cannot be read, it is damaged, or it is not the file
            that the report in its folder describes. The message names the file.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"There is no file {path}.") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        require_sound(content)
    except FileError as error:
        raise ValueError(f"{path}: {error}") from error
    require_reported(path.parent, path.name, content, str(path))
    return content


def require_reported(folder: Path, name: str, content: bytes, described: str) -> None:
    """Raise a ValueError if the report in a folder states another digest than that of a content.

    Args:
        folder: The folder; it need not have a report.
        name: Name of a file that the report of the same export lists.
        content: The bytes whose digest it states.
        described: The file or folder in messages.
    """
    expected = _reported_sha256(folder, name)
    received = hashlib.sha256(content).hexdigest()
    if expected not in (None, received):
        raise ValueError(
            f"{described} is not the file that {folder / REPORT} describes: its sha256 is "
            f"{received}, not {expected}. Export the model again."
        )


def _reported_sha256(folder: Path, name: str) -> str | None:
    """The digest that the report in a folder states for a file; None without such a report."""
    try:
        report: Any = json.loads((folder / REPORT).read_text("utf-8"))
        files, digest = report["files"], report["file_sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{folder / REPORT} is damaged ({type(error).__name__}); "
            "remove it, or export the model again."
        ) from error
    if name not in files:
        return None
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError(f"{folder / REPORT} states no sha256 of {name}.")
    return digest
