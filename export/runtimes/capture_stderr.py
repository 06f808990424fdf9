"""Captures file descriptor 2, to which C++ libraries write their messages."""

import os
import re
import sys
import tempfile
import threading
from types import TracebackType

# Two redirections at once would restore each other's files.
_lock = threading.RLock()
# Notices of the interpreters, by how their lines begin.
_NOTICE = re.compile(
    rb"(INFO|WARNING): .*(TensorFlow Lite|XNNPACK|tensors|deprecat|delegate)"
    rb"|\[RecordingMicroAllocator\] "
    rb"|[IW]\d{4} .*(interpreter|delegate|xnnpack|lite)[\w/]*\.(cc|h):\d+\]",
    re.IGNORECASE,
)


class CapturedErrors:
    """Context manager that redirects stderr of the whole process; `read` returns its text.

    One thread at a time can redirect; others wait. Other text that the process writes meanwhile,
    from other threads, is written to stderr at the end: all lines that are no notice of an
    interpreter.
    """

    def __enter__(self) -> "CapturedErrors":
        _lock.acquire()
        try:
            _flush()
            self._file = tempfile.TemporaryFile()
            self._saved = os.dup(2)
            os.dup2(self._file.fileno(), 2)
        except BaseException:
            _lock.release()
            raise
        return self

    def read(self) -> str:
        """Return the text written to stderr so far."""
        _flush()
        return self._bytes().decode(errors="replace").strip()

    def _bytes(self) -> bytes:
        descriptor = self._file.fileno()
        size = os.fstat(descriptor).st_size
        if hasattr(os, "pread"):
            # It leaves the position, at which other threads write.
            return os.pread(descriptor, size, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return os.read(descriptor, size)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            _flush()
            os.dup2(self._saved, 2)
            os.close(self._saved)
            lines = self._bytes().splitlines(keepends=True)
            others = b"".join(line for line in lines if not _NOTICE.match(line))
            while others:
                others = others[os.write(2, others) :]
            self._file.close()
        finally:
            _lock.release()


def _flush() -> None:
    # Windows without a console has no stderr.
    if sys.stderr is not None:
        sys.stderr.flush()
