"""Folders and files that are written completely or not at all, also if the process is killed.

A block writes to a hidden folder next to the target. Where the system can exchange two folders, one
step replaces the target. Elsewhere three renames do, and the next start completes them after a
kill. Hidden folders of killed processes are deleted by the next start; a lock tells them from those
of processes that still run.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from lnn_keras.exchange import exchange
from lnn_keras.folder_lock import Lock, NoLocksError, folder_lock, try_lock

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Free bytes below which an error without a number is taken for a full disk.
_NEARLY_FULL = 1 << 14
# The end of the names of hidden folders, and the longest name that they repeat in full.
_SUFFIX, _MAX_NAME = ".lnn-keras", 200
# Seconds to wait for another process; replacing a folder takes milliseconds.
_PATIENCE = 60.0


@contextlib.contextmanager
def whole_folder(
    directory: str | Path, proof: str, replaceable: Collection[str] = ()
) -> Iterator[Path]:
    """Yield a new empty folder that is renamed to `directory` when the block succeeds.

    An existing `directory` is replaced if it contains the file `proof`, which marks folders
    written by this function, and if the block writes every name that it contains. Any other
    existing folder is left untouched. If the block fails, everything it wrote is deleted. If the
    process is killed, `directory` is the old or the new folder. Of several processes, the last one
    wins.

    Args:
        directory: The folder to write.
        proof: Name of a file that the block writes, the mark of a folder that may be replaced.
        replaceable: Names of files that may be deleted.

    Raises:
        OSError: `directory` cannot be written, or the disk is full.
        FileExistsError: `directory` is a file or contains files that would be lost.
    """
    # A link stays a link: the folder that it names is replaced.
    target = Path(os.path.realpath(directory))
    if os.path.exists(target) and not target.is_dir():
        raise FileExistsError(f"Cannot write the folder {directory}: a file has that name.")
    with _temporary_next_to(target, f"the folder {directory}") as temporary:
        yield temporary
        _sync(temporary)
        with _held(target.parent):
            if target.exists():
                written = {path.name for path in temporary.iterdir()}
                require_replaceable(directory, proof, {*written, *replaceable})
            _place(temporary, target, directory)


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield the path of a new file that replaces `path` when the block has written it.

    Its name is that of `path`. If the block fails or the process is killed, `path` keeps its
    content. A device or a pipe is written directly.

    Args:
        path: The file to write.

    Raises:
        OSError: `path` is a folder or cannot be written, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    if os.path.isdir(target):
        raise IsADirectoryError(f"Cannot write the file {path}: a folder has that name.")
    if os.path.exists(target) and not target.is_file():
        yield Path(path)
        return
    with _temporary_next_to(target, f"the file {path}") as temporary:
        yield temporary / target.name
        _sync(temporary)
        os.replace(temporary / target.name, target)
        _sync_entries(target.parent)


def require_writable(path: str | Path) -> None:
    """Make the folder that will hold a file or folder, and check that it can be written.

    Long computations call it first.

    Raises:
        OSError: It cannot be written.
    """
    with _temporary_next_to(Path(os.path.realpath(path)), str(path)):
        pass


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


def recover(path: str | Path) -> None:
    """Complete the replacement of a folder or file that a kill interrupted; delete leftovers.

    Writers do this themselves. Readers call it before they decide that there is no such folder.
    """
    target = Path(os.path.realpath(path))
    if _leftovers(target):
        with _held(target.parent) as locked:
            if locked:
                _recover(target)


def replace_folder(new: Path, target: Path) -> None:
    """Give a complete folder the name of another one, which is deleted if it exists.

    Args:
        new: A folder next to `target`; afterwards it is gone.
        target: The folder to replace.

    Raises:
        OSError: It cannot be replaced.
    """
    _sync(new)
    with _held(target.parent) as locked:
        if locked:
            _recover(target)
        _place(new, target, target)
    # A file may have had the name of the folder.
    if new.is_file():
        new.unlink()
    shutil.rmtree(new, ignore_errors=True)


@contextlib.contextmanager
def _temporary_next_to(target: Path, described: str) -> Iterator[Path]:
    """A new folder next to `target`; it, or the folder that takes its name, is deleted."""
    own: Lock | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A name that the filesystem refuses is an error before the block starts.
        with contextlib.suppress(FileNotFoundError):
            os.lstat(target)
        with _held(target.parent) as locked:
            if locked:
                _recover(target)
            temporary = _hidden(target, secrets.token_hex(4))
            temporary.mkdir()
            own = try_lock(temporary) if locked else None
    except OSError as error:
        reason = error.strerror or str(error).rstrip(".")
        raise OSError(f"Cannot write {described}: {reason}.") from error
    try:
        yield temporary
    except Exception as error:
        if reason := _disk_full(error, temporary):
            raise OSError(f"Cannot write {described}: {reason}; nothing was written.") from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if own:
            own.release()


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder; False where there is none, and nothing must be deleted.

    The hidden folder of a block belongs to that block, which holds its lock.
    """
    if folder.name.endswith(_SUFFIX):
        yield False
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(folder_lock(folder, _PATIENCE))
        except (NoLocksError, PermissionError):
            yield False
            return
        yield True


def _place(new: Path, target: Path, shown: str | Path) -> None:
    """Rename `new` to `target`; an earlier `target` has the name `new` afterwards."""
    try:
        if not target.exists():
            new.rename(target)
        elif not exchange(new, target):
            _exchange_in_steps(new, target)
    except OSError as error:
        hint = "it is a mount point; name a folder in it" if target.is_mount() else error.strerror
        raise OSError(f"Cannot replace the folder {shown}: {hint}.") from error
    _sync_entries(target.parent)


def _exchange_in_steps(new: Path, target: Path) -> None:
    """Exchange two folders; after a kill between any two steps, `_recover` completes them."""
    complete, old = _hidden(target, "new"), _hidden(target, "old")
    new.rename(complete)
    target.rename(old)
    complete.rename(target)
    old.rename(new)


def _recover(target: Path) -> None:
    """Complete an interrupted replacement, and delete the folders of processes that have ended."""
    complete, old = _hidden(target, "new"), _hidden(target, "old")
    leftovers = _leftovers(target)
    for whole in (complete, old):
        if whole in leftovers and not target.exists():
            whole.rename(target)
    for leftover in leftovers:
        # Another user's folder cannot be read.
        with contextlib.suppress(OSError):
            if lock := try_lock(leftover):
                shutil.rmtree(leftover, ignore_errors=True)
                lock.release()


def _leftovers(target: Path) -> list[Path]:
    """The hidden folders of `target`, also those of running processes."""
    pattern = re.compile(
        re.escape(f".{_short(target.name)}-") + r"([0-9a-f]{8}|new|old)\.lnn-keras"
    )
    try:
        return [path for path in target.parent.iterdir() if pattern.fullmatch(path.name)]
    except OSError:
        return []


def _hidden(target: Path, mark: str) -> Path:
    return target.with_name(f".{_short(target.name)}-{mark}{_SUFFIX}")


def _short(name: str) -> str:
    """The name, or its digest: a longer name than the target's may not be possible."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= _MAX_NAME else hashlib.sha256(encoded).hexdigest()[:32]


def _sync(folder: Path) -> None:
    """Write everything in a folder from memory to the disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            _sync_entries(path)
        elif path.is_file():
            # Windows synchronizes only files that are open for writing.
            with path.open("r+b" if os.name == "nt" else "rb") as file:
                os.fsync(file.fileno())
    _sync_entries(folder)


def _sync_entries(folder: Path) -> None:
    """Write the list of names in a folder to the disk, where the system can do it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _disk_full(error: Exception, folder: Path) -> str | None:
    """The reason if an error says that no more can be written to the disk."""
    # HDF5 tells the number in the text; NumPy tells none.
    told = re.search(r"errno = (\d+)", str(error))
    code = getattr(error, "errno", None) or (int(told[1]) if told else None)
    if code is None and shutil.disk_usage(folder).free < _NEARLY_FULL:
        code = errno.ENOSPC
    return os.strerror(code) if code in _DISK_FULL else None
