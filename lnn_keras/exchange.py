"""Exchange of two files or folders: afterwards each has the other's name, in one atomic step."""

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

# Linux: linux/fcntl.h and linux/fs.h. macOS: sys/stdio.h.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_RENAME_SWAP = 2
# Errors of systems and filesystems that cannot exchange; EPERM comes from some sandboxes.
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM}


def exchange(first: Path, second: Path) -> bool:
    """Exchange two paths of one filesystem.

    Returns:
        Whether it is done. False: this system or filesystem cannot do it, and nothing changed.

    Raises:
        OSError: The exchange failed for another reason.
    """
    function = _function()
    if function is None:
        return False
    if function(os.fsencode(first), os.fsencode(second)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(first), None, str(second))


def _function() -> Callable[[bytes, bytes], int] | None:
    """The exchange of the C library, or None if it has none."""
    if sys.platform not in ("linux", "darwin"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    try:
        if sys.platform == "darwin":
            swap = library.renamex_np
            return lambda first, second: swap(first, second, _RENAME_SWAP)
        rename = library.renameat2
    except AttributeError:
        return None
    return lambda first, second: rename(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE)
