"""Locks on folders: one process or thread at a time works on a folder."""

import contextlib
import errno
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

# Seconds between two attempts to take a lock.
_POLL = 0.02
# Errors of filesystems without locks.
_UNSUPPORTED = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}


class NoLocksError(OSError):
    """The filesystem has no locks."""


class Lock:
    """A lock that is held until `release`, or until the process ends."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock."""
        with contextlib.suppress(OSError):
            _unlock(self._descriptor)
        os.close(self._descriptor)


@contextlib.contextmanager
def folder_lock(folder: str | Path, seconds: float) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it does not exist.

    The lock belongs to the folder, not to its name: a renamed folder stays locked, and a new folder
    of that name is not.

    Args:
        folder: The folder.
        seconds: Time to wait for another process.

    Raises:
        TimeoutError: Another process still holds the lock.
        NoLocksError: The filesystem has no locks.
        OSError: The folder cannot be made or read.
    """
    end = time.monotonic() + seconds
    while True:
        _make(Path(folder))
        if lock := try_lock(folder):
            break
        if time.monotonic() > end:
            raise TimeoutError(f"Another process has held {folder} for {seconds:.0f} s.")
        time.sleep(_POLL)
    try:
        yield
    finally:
        lock.release()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        # It existed, and another process renamed or removed it before `mkdir` looked again.
        if os.path.lexists(folder) and not folder.is_dir():
            raise


def try_lock(folder: str | Path) -> Lock | None:
    """The lock of a folder, or None if another process or thread holds it, or it is gone.

    Raises:
        NoLocksError: The filesystem has no locks.
        OSError: The folder cannot be read.
    """
    try:
        descriptor = _open(folder)
    except FileNotFoundError:
        return None
    try:
        if _is_taken(descriptor) and _is_same(descriptor, folder):
            return Lock(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


if sys.platform == "win32":
    import msvcrt

    # Windows cannot open folders: a file in the folder of temporary files stands for each.
    def _open(folder: str | Path) -> int:
        name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:32]
        path = Path(tempfile.gettempdir()) / f"lnn-keras-{name}.lock"
        return os.open(path, os.O_RDWR | os.O_CREAT)

    def _is_taken(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _is_same(descriptor: int, folder: str | Path) -> bool:
        return os.path.isdir(folder)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _open(folder: str | Path) -> int:
        return os.open(folder, os.O_RDONLY)

    def _is_taken(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                raise NoLocksError(error.errno, error.strerror) from error
            raise
        return True

    def _is_same(descriptor: int, folder: str | Path) -> bool:
        # The folder may have been renamed or removed while this process waited.
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(folder))
        except FileNotFoundError:
            return False

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
