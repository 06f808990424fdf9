"""Captures file descriptor 2, to which C++ libraries write their messages."""

import atexit
import os
import re
import sys
import tempfile
import threading
from types import TracebackType
from typing import Any

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
    interpreter. A write that is still going on at the end follows with the next capture, or when
    the process ends.
    """

    def __enter__(self) -> "CapturedErrors":
        _lock.acquire()
        try:
            _flush()
            _show_others()
            self._start = _text.shown
            self._saved = os.dup(2)
            os.dup2(_text.descriptor(), 2)
        except BaseException:
            _lock.release()
            raise
        return self

    def read(self) -> str:
        """Return the text written to stderr so far."""
        _flush()
        return _text.since(self._start).decode(errors="replace").strip()

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
            _show_others()
        finally:
            _lock.release()


class _Text:
    """The text of all captures, in a file that stays open for writes that end after a capture."""

    def __init__(self):
        self._file: Any = None
        # Number of bytes that were written to stderr, or are notices.
        self.shown = 0

    def descriptor(self) -> int:
        """The file descriptor."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 # it stays open
        return self._file.fileno()

    def since(self, start: int) -> bytes:
        """The text from a position on."""
        if self._file is None:
            return b""
        descriptor = self._file.fileno()
        size = os.fstat(descriptor).st_size - start
        if hasattr(os, "pread"):
            # It leaves the position, at which other threads write.
            return os.pread(descriptor, size, start)
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.read(descriptor, size)


_text = _Text()


@atexit.register
def _show_others() -> None:
    """Write the text that is no notice and was not shown yet to stderr."""
    text = _text.since(_text.shown)
    _text.shown += len(text)
    others = b"".join(line for line in text.splitlines(keepends=True) if not _NOTICE.match(line))
    while others:
        others = others[os.write(2, others) :]


def _flush() -> None:
    # Windows without a console has no stderr.
    if sys.stderr is not None:
        sys.stderr.flush()
