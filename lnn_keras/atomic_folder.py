"""Folders that appear whole or not at all."""

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def whole_folder(directory: str | Path, proof: str) -> Iterator[Path]:
    """Yield a new empty folder that becomes `directory` when the block succeeds.

    An existing `directory` is replaced if it holds `proof`, the name of a file that shows
    that it was written this way, and the block writes every name that is in it; one that
    holds anything else is left alone. If the block fails, nothing remains of what it wrote.

    Raises:
        OSError: `directory` cannot be written, or the disk is full.
        FileExistsError: `directory` is a file or holds files that would be lost.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise FileExistsError(f"Cannot write the folder {directory}: a file has that name.")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    except OSError as error:
        raise OSError(f"Cannot write the folder {directory}: {error.strerror}.") from error
    # mkdtemp makes private folders; what is written here is for others to read.
    made.chmod(0o755)
    try:
        yield made
        _replace(directory, made, proof)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise OSError(
            f"Cannot write the folder {directory}: {error.strerror} ({error.filename}); "
            "nothing was written."
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _replace(directory, made, proof):
    if not directory.exists():
        made.rename(directory)
        return
    names = {path.name for path in directory.iterdir()}
    foreign = sorted(names - {path.name for path in made.iterdir()})
    if names and proof not in names:
        foreign = sorted(names)
    if foreign:
        raise FileExistsError(
            f"The folder {directory} holds other files ({', '.join(foreign[:3])}); "
            "name a new or empty folder."
        )
    old = made.with_name(made.name + "-old")
    directory.rename(old)
    made.rename(directory)
    shutil.rmtree(old)
