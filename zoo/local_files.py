"""Folders for downloaded presets and datasets on this machine, and digests of files."""

import hashlib
import os
from pathlib import Path

from zoo.extras import extra

_APPLICATION = "lnn-keras"


def home_folder() -> Path:
    """`LNN_HOME`, or the cache folder of the user."""
    home = os.environ.get("LNN_HOME")
    return Path(home).expanduser() if home else _user_cache()


def presets_folder() -> Path:
    """The folder of downloaded presets: `LNN_HOME/presets`."""
    return home_folder() / "presets"


def dataset_folder(name: str) -> Path:
    """The folder of a downloaded or recorded dataset: `LNN_HOME/data/NAME`.

    Version 0.1.0 wrote recorded datasets to `LNN_HOME/NAME` and downloaded ones to `NAME` in the
    cache folder of the user. Such a folder is used if the new one does not exist.
    """
    folder = home_folder() / "data" / name
    if folder.is_dir():
        return folder
    earlier = (home_folder() / name, _user_cache() / name)
    return next((path for path in earlier if path.is_dir()), folder)


def sha256(path: Path) -> str:
    """The SHA-256 digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _user_cache() -> Path:
    with extra("zoo"):
        import platformdirs

    return Path(platformdirs.user_cache_dir(_APPLICATION))
