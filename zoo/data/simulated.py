"""Datasets that are recorded from a simulation on this machine, from fixed seeds, and kept."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from zoo.data.dataset import Dataset
from zoo.extras import extra
from zoo.local_files import dataset_folder

T = TypeVar("T")


@dataclass(frozen=True)
class Recorded(Dataset):
    """A dataset that is recorded from a simulation.

    Its digest is the digest of the settings, which determine the data. The name of its only file
    contains the digest, so that other settings make another file.

    Attributes:
        record: Function that makes the arrays, by name.
        settings: Everything that the record depends on, in types that JSON has.
    """

    record: Callable[[], dict[str, np.ndarray]] = dict
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Short description of the origin of its files, for `lnn data`."""
        return "recorded here"

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride] # read-only both
        """SHA-256 of the settings."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()

    def fetch(self) -> dict[str, Path]:
        """Return the path of the record; make the record if it does not exist.

        It is read from the folder `NAME` in `LNN_DATA_DIR` if that has it. Otherwise it lies in
        `LNN_HOME/data/NAME`, see `zoo.local_files.dataset_folder`.
        """
        name = f"record-{self.digest[:12]}.npz"
        local = os.environ.get("LNN_DATA_DIR")
        if local and (Path(local) / self.name / name).is_file():
            return {name: Path(local) / self.name / name}
        path = dataset_folder(self.name) / name
        if not path.is_file():
            self._record(path)
        return {name: path}

    def _record(self, path: Path) -> None:
        from lnn_keras.atomic_folder import whole_file

        # The file is opened first: a folder that cannot be written is an error at once.
        with whole_file(path) as temporary:
            print(f"Recording {self.name} to {path}; this takes long.", file=sys.stderr)
            np.savez_compressed(temporary, **self.record())  # pyright: ignore[reportArgumentType] # dict to **


def with_progress_bar(items: Iterable[T], total: int, title: str) -> Iterator[T]:
    """Iterate over items and show a progress bar if stderr is a terminal."""
    with extra("zoo"):
        from rich.console import Console
        from rich.progress import track

    console, hidden = Console(stderr=True), not sys.stderr.isatty()
    yield from track(items, title, total, console=console, disable=hidden)
