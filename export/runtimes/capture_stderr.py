"""Captures file descriptor 2, to which C++ libraries write their messages."""

import os
import sys
import tempfile
from types import TracebackType


class CapturedErrors:
    """Context manager that redirects stderr of the whole process; `read` returns its text.

    Not safe with threads that write to stderr.
    """

    def __enter__(self) -> "CapturedErrors":
        sys.stderr.flush()
        self._file = tempfile.TemporaryFile()
        self._saved = os.dup(2)
        os.dup2(self._file.fileno(), 2)
        return self

    def read(self) -> str:
        """Return the text written to stderr so far."""
        self._file.seek(0)
        return self._file.read().decode(errors="replace").strip()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.stderr.flush()
        os.dup2(self._saved, 2)
        os.close(self._saved)
        self._file.close()
