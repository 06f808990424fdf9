"""Kills of a process at each step of a function: before the n-th call of a C function.

All effects on the disk are calls of C functions, so the n from 1 on are all states that a kill can
leave.
"""

import os
import signal
import sys
from collections.abc import Callable


def runs_to_its_end(function: Callable[[], object], killed_before: int) -> bool:
    """Call a function in a forked process, which is killed before its n-th C call.

    Returns:
        Whether the function ended before the kill.

    Raises:
        RuntimeError: The function failed.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _kill_before(killed_before)
            function()
            sys.setprofile(None)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if status:
        raise RuntimeError(f"The function failed before its C call {killed_before}.")
    return True


def _kill_before(number: int) -> None:
    count = 0

    def profile(frame, event, function):
        nonlocal count
        if event == "c_call":
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)
