"""The check of a preset folder: exactly the files that its metadata lists, with their digests."""

import re
from pathlib import Path
from typing import Any

from zoo.hub.model_file import CONFIG, METADATA, WEIGHTS
from zoo.local_files import sha256
from zoo.readers import files, json_text
from zoo.readers.files import FileError, shown
from zoo.readers.text import has_control

# Files of a preset besides its metadata.
MAX_FILES = 16
_DIGEST = re.compile("[0-9a-f]{64}")


class CorruptPresetError(RuntimeError):
    """A file of a preset is missing, not listed, or differs from the published one."""


def verified(folder: Path) -> Path:
    """Return a folder that holds exactly the files that its metadata lists.

    Raises:
        CorruptPresetError: A file is missing, not listed, a link, or differs from its digest; or
            the metadata are damaged.
    """
    try:
        digests = json_text.read_object(folder / METADATA).get("sha256")
    except FileError as error:
        raise CorruptPresetError(f"{shown(folder)} holds no preset: {error}") from error
    if not isinstance(digests, dict) or not digests:
        raise CorruptPresetError(f"{shown(folder / METADATA)} is damaged: it records no digests.")
    _require_names(folder, digests)
    try:
        found = {path.name: path for path in folder.iterdir()}
    except OSError as error:
        raise CorruptPresetError(
            f"{shown(folder)} cannot be read: {files.reason(error)}."
        ) from error
    others = sorted(set(found) - set(digests) - {METADATA})
    if others:
        raise CorruptPresetError(
            f"{shown(folder)} holds {others[0][:80]!r}, which {METADATA} does not list; remove it."
        )
    for name, digest in digests.items():
        if name not in found:
            raise CorruptPresetError(f"The preset in {shown(folder)} lacks {name}.")
        if found[name].is_symlink():
            raise CorruptPresetError(f"{shown(found[name])} is a link; a preset holds files only.")
        try:
            received = sha256(files.require_file(found[name]))
        except (FileError, OSError) as error:
            raise CorruptPresetError(f"{shown(found[name])}: {files.reason(error)}.") from error
        if received != digest:
            raise CorruptPresetError(
                f"{shown(found[name])} is damaged: its sha256 differs from the one in {METADATA}."
            )
    return folder


def _require_names(folder: Path, digests: dict[str, Any]) -> None:
    """Raise a CorruptPresetError for names of files and digests that no preset has."""
    where = shown(folder / METADATA)
    if len(digests) > MAX_FILES:
        raise CorruptPresetError(f"{where} lists {len(digests)} files; the limit is {MAX_FILES}.")
    for name, digest in digests.items():
        # A name with a folder in it could point outside of the preset.
        if (
            name in ("", ".", "..")
            or Path(name).name != name
            or "\\" in name
            or has_control(name)
            or name == METADATA
        ):
            raise CorruptPresetError(f"{where} names {name[:80]!r}, which is no file of a preset.")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise CorruptPresetError(
                f"{where}: the sha256 of {name} must be 64 digits of 0-9 and a-f."
            )
    for name in (CONFIG, WEIGHTS):
        if name not in digests:
            raise CorruptPresetError(f"{where} lists no {name}: the preset lacks it.")
