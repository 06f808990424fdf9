"""Data that no file on the web holds: recorded on this machine, from seeds, and kept."""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset


@dataclass(frozen=True)
class Recorded(Dataset):
    """A dataset that a simulation gives.

    Its digest is that of its settings, from which it follows, and its one file bears it in its
    name: other settings make another file.

    Attributes:
        record: Makes its arrays, by name.
        settings: All that the record depends on, as JSON takes it.
    """

    record: Callable[[], dict[str, np.ndarray]] = dict
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """What its files are, in two words."""
        return "recorded here"

    @cached_property
    def digest(self) -> str:
        """The sha256 of the settings."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()

    def fetch(self) -> dict[str, Path]:
        """Return the path of the record, which is made first if need be.

        It lies in the folder of this name under `LNN_DATA_DIR`, where that holds it, or
        under `LNN_HOME` or the user's cache.
        """
        name = f"record-{self.digest[:12]}.npz"
        local = os.environ.get("LNN_DATA_DIR")
        if local and (Path(local) / self.name / name).is_file():
            return {name: Path(local) / self.name / name}
        path = _home() / self.name / name
        if not path.is_file():
            print(f"Recording {self.name}, once, to {path}; takes long.", file=sys.stderr)
            _write(path, self.record())
        return {name: path}


def counted(things: Iterable, total: int, what: str) -> Iterator:
    """The same things, counted on a terminal by a bar, in silence elsewhere."""
    from rich.console import Console
    from rich.progress import track

    return track(things, what, total, console=Console(stderr=True), disable=not sys.stderr.isatty())


def _home():
    import pooch

    return Path(os.environ.get("LNN_HOME") or pooch.os_cache("lnn-keras"))


def _write(path, arrays):
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".npz", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)
        # mkstemp makes private files.
        Path(made).chmod(0o644)
        Path(made).replace(path)
    finally:
        Path(made).unlink(missing_ok=True)
