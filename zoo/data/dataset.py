"""Public files: from `LNN_DATA_DIR` or from their source, verified before use."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_DIGESTS = Path(__file__).parent / "digests"


class DataError(RuntimeError):
    """A data file is missing, cannot be fetched, or is not the file that it should be."""


@dataclass(frozen=True)
class Dataset:
    """Where a public dataset comes from.

    Attributes:
        name: Its name, and that of its folder.
        title: One line for people.
        source: URL of the folder that holds its files.
        license: SPDX name of its licence, as published by its source.
        shippable: Whether slices of it may ship with a preset.
    """

    name: str
    title: str
    source: str
    license: str
    shippable: bool = True

    @property
    def origin(self) -> str:
        """What its files are, in two words."""
        return "as published"

    @property
    def _sums(self) -> str:
        return (_DIGESTS / f"{self.name}.txt").read_text()

    @cached_property
    def digests(self) -> dict[str, str]:
        """File name -> sha256, from the list of this name in `digests/`."""
        lines = (line.split() for line in self._sums.splitlines())
        return {name: digest for digest, name in lines}

    @property
    def digest(self) -> str:
        """The sha256 of that list, which stands for all files."""
        return hashlib.sha256(self._sums.encode()).hexdigest()

    def fetch(self) -> dict[str, Path]:
        """Return the path of each file, fetched if need be and verified.

        Files are read from the folder of this name under `LNN_DATA_DIR` if that is
        set, and otherwise downloaded once to the user's cache.

        Raises:
            DataError: A file is missing, cannot be fetched, or has another digest.
        """
        local = os.environ.get("LNN_DATA_DIR")
        if local:
            return self._verified(Path(local) / self.name)
        return self._downloaded()

    def _verified(self, folder):
        import pooch

        paths = {name: folder / name for name in self.digests}
        missing = [name for name, path in paths.items() if not path.is_file()]
        if missing:
            raise DataError(
                f"LNN_DATA_DIR is set, but {folder} lacks {len(missing)} of the "
                f"{len(paths)} files of {self.name!r}, {missing[0]} among them."
            )
        for name, path in paths.items():
            if pooch.file_hash(str(path)) != self.digests[name]:
                raise DataError(
                    f"{path} is not the published file: its sha256 differs from "
                    f"{self.digests[name][:12]}..."
                )
        return paths

    def _downloaded(self):
        import pooch

        store = pooch.create(
            path=pooch.os_cache("lnn-keras") / self.name,
            base_url=self.source,
            registry=self.digests,
            retry_if_failed=2,
        )
        paths = {}
        for name in self.digests:
            # pooch raises what requests raises, or ValueError for a wrong digest.
            try:
                paths[name] = Path(store.fetch(name))
            except (OSError, ValueError) as error:
                raise DataError(
                    f"Cannot fetch {name} of {self.name!r} from {self.source}: {error} "
                    "Set LNN_DATA_DIR to a folder that already holds the data."
                ) from error
        return paths
