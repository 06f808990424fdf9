"""Kills of a forked process: before its n-th C call, or before its n-th access to a folder."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

# Effects on a disk that Python announces; the calls between them leave no state of their own.
_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "os.listdir"}


def runs_to_its_end(function: Callable[[], object], killed_before: int) -> bool:
    """Call a function in a forked process, which is killed before its n-th C call.

    All effects on the disk are C calls, so the n from 1 on are all states that a kill can leave.

    Returns:
        Whether the function ended before the kill.

    Raises:
        RuntimeError: The function failed.
    """

    def killed() -> None:
        _kill_before_call(killed_before)
        function()
        sys.setprofile(None)

    return _survives(killed)


def accesses(function: Callable[[], object], folder: Path) -> int:
    """The number of accesses to paths in a folder by a function, in a forked process.

    Raises:
        RuntimeError: The function failed.
    """
    reader, writer = os.pipe()

    def counted() -> None:
        count = _on_access(folder, lambda number: None)
        function()
        os.write(writer, str(count()).encode())

    _survives(counted)
    os.close(writer)
    with os.fdopen(reader) as file:
        return int(file.read())


def survives_access(function: Callable[[], object], folder: Path, killed_before: int) -> bool:
    """Call a function in a forked process, which is killed before its n-th access to a folder.

    Returns:
        Whether the function ended before the kill.

    Raises:
        RuntimeError: The function failed.
    """

    def kill(number: int) -> None:
        if number == killed_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def killed() -> None:
        _on_access(folder, kill)
        function()

    return _survives(killed)


def _survives(function: Callable[[], object]) -> bool:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except BaseException:
            os.write(writer, traceback.format_exc()[-2000:].encode())
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as file:
        failure = file.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if status:
        raise RuntimeError(f"The function failed with status {status}: {failure}")
    return True


def _kill_before_call(number: int) -> None:
    count = 0

    def profile(frame, event, function):
        nonlocal count
        if event == "c_call":
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)


def _on_access(folder: Path, react: Callable[[int], object]) -> Callable[[], int]:
    """Call a function at each access to a folder in this process; the result counts them."""
    start, count = str(folder), 0

    def hook(event, arguments):
        nonlocal count
        if event in _EVENTS and any(start in _text(argument) for argument in arguments[:2]):
            count += 1
            react(count)

    sys.addaudithook(hook)
    return lambda: count


def _text(argument: object) -> str:
    if isinstance(argument, bytes):
        return os.fsdecode(argument)
    return str(argument) if isinstance(argument, str | os.PathLike) else ""
