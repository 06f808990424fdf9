"""Folders that are written completely or not at all."""

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def whole_folder(
    directory: str | Path, proof: str, replaceable: Collection[str] = ()
) -> Iterator[Path]:
    """Yield a new empty folder that is renamed to `directory` when the block succeeds.

    An existing `directory` is replaced if it contains the file `proof`, which marks folders
    written by this function, and if the block writes every name that it contains. Any other
    existing folder is left untouched. If the block fails, everything it wrote is deleted.

    Args:
        directory: The folder to write.
        proof: Name of a file that the block writes, the mark of a folder that may be replaced.
        replaceable: Names of files that may be deleted.

    Raises:
        OSError: `directory` cannot be written, or the disk is full.
        FileExistsError: `directory` is a file or contains files that would be lost.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise FileExistsError(f"Cannot write the folder {directory}: a file has that name.")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    except OSError as error:
        raise OSError(f"Cannot write the folder {directory}: {error.strerror}.") from error
    # mkdtemp creates folders that other users cannot read.
    temporary.chmod(0o755)
    try:
        yield temporary
        _replace(directory, temporary, proof, replaceable)
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise OSError(
            f"Cannot write the folder {directory}: {error.strerror} ({error.filename}); "
            "nothing was written."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def require_replaceable(
    directory: str | Path, proof: str, replaceable: Collection[str] = ()
) -> None:
    """Raise a FileExistsError if a folder has files other than the proof and the `replaceable`."""
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise FileExistsError(f"Cannot write the folder {directory}: a file has that name.")
    names = {path.name for path in directory.iterdir()} if directory.exists() else set()
    foreign = sorted(names if names and proof not in names else names - {proof, *replaceable})
    if foreign:
        raise FileExistsError(
            f"The folder {directory} holds other files ({', '.join(foreign[:3])}); "
            "name a new or empty folder."
        )


def _replace(directory: Path, temporary: Path, proof: str, replaceable: Collection[str]) -> None:
    if not directory.exists():
        temporary.rename(directory)
        return
    written = {path.name for path in temporary.iterdir()}
    require_replaceable(directory, proof, {*written, *replaceable})
    old = temporary.with_name(temporary.name + "-old")
    directory.rename(old)
    temporary.rename(directory)
    shutil.rmtree(old)
