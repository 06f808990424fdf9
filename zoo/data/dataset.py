"""Public datasets: read from `LNN_DATA_DIR` or downloaded, and verified before use."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from zoo import downloads
from zoo.local_files import dataset_folder, sha256

_DIGESTS = Path(__file__).parent / "digests"


class DataError(RuntimeError):
    """A data file is missing, cannot be downloaded, or differs from the published one."""


@dataclass(frozen=True)
class Dataset:
    """A public dataset and its source.

    Attributes:
        name: The name, also of its folder.
        title: One line that describes it.
        source: URL of the folder that holds its files.
        license: SPDX name of its licence, as published by its source.
        shippable: Whether the licence allows to ship parts of it with a preset.
    """

    name: str
    title: str
    source: str
    license: str
    shippable: bool = True

    @property
    def origin(self) -> str:
        """Short description of the origin of its files, for `lnn data`."""
        return "as published"

    @property
    def _digest_list(self) -> str:
        return (_DIGESTS / f"{self.name}.txt").read_text()

    @cached_property
    def digests(self) -> dict[str, str]:
        """Name of each file -> its SHA-256, from the list of this dataset in `digests/`."""
        lines = (line.split() for line in self._digest_list.splitlines())
        return {name: digest for digest, name in lines}

    @property
    def digest(self) -> str:
        """SHA-256 of that list, which identifies all files."""
        return hashlib.sha256(self._digest_list.encode()).hexdigest()

    def fetch(self) -> dict[str, Path]:
        """Return the path of each file; download missing files, and verify all.

        Files are read from the folder `NAME` in `LNN_DATA_DIR` if that is set. Otherwise they are
        downloaded once to `LNN_HOME/data/NAME`, see `zoo.local_files.dataset_folder`.

        Raises:
            DataError: A file is missing, cannot be downloaded, or has another digest.
        """
        local = os.environ.get("LNN_DATA_DIR")
        if local:
            return self._verified(Path(local) / self.name)
        return self._downloaded()

    def _verified(self, folder: Path) -> dict[str, Path]:
        paths = {name: folder / name for name in self.digests}
        missing = [name for name, path in paths.items() if not path.is_file()]
        if missing:
            raise DataError(
                f"LNN_DATA_DIR is set, but {folder} lacks {len(missing)} of the "
                f"{len(paths)} files of {self.name!r}, {missing[0]} among them."
            )
        for name, path in paths.items():
            if sha256(path) != self.digests[name]:
                raise DataError(
                    f"{path} is not the published file: its sha256 differs from "
                    f"{self.digests[name][:12]}..."
                )
        return paths

    def _downloaded(self) -> dict[str, Path]:
        with downloads.progress_bar(f"Downloading {self.name}") as progress:
            try:
                return downloads.fetch_files(
                    self.source, dataset_folder(self.name), self.digests, progress=progress
                )
            except (OSError, downloads.DownloadError) as error:
                raise DataError(
                    f"Dataset {self.name!r}: {error} "
                    "Set LNN_DATA_DIR to a folder that already holds the data."
                ) from error
