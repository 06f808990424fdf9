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
    """Read and verify a .tflite file.

    Offsets, indices, shapes, types and quantization are checked, so that a damaged file is an
    error here and not a crash of a runtime. If the folder has a report.json of the same export, its
    sha256 must be that of the file.

    Args:
        path: The file.

    Returns:
        Its bytes.

    Raises:
        ValueError: There is no such file, it cannot be read, it is damaged, or it is not the file
            that the report in its folder describes. The message names the file.

    Example:
        >>> import export
        >>> content = export.read_file("build/device/model.tflite")  # doctest: +SKIP
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
    expected = _reported_sha256(path)
    received = hashlib.sha256(content).hexdigest()
    if expected not in (None, received):
        raise ValueError(
            f"{path} is not the file that {path.parent / REPORT} describes: its sha256 is "
            f"{received}, not {expected}. Export the model again."
        )
    return content


def _reported_sha256(path: Path) -> str | None:
    """The digest that the report in a file's folder states for it; None without such a report."""
    try:
        report: Any = json.loads((path.parent / REPORT).read_text("utf-8"))
        files, digest = report["files"], report["file_sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path.parent / REPORT} is damaged ({type(error).__name__}); "
            "remove it, or export the model again."
        ) from error
    if path.name not in files:
        return None
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError(f"{path.parent / REPORT} states no sha256 of {path.name}.")
    return digest
