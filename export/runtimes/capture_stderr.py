"""Catch what C++ libraries write to file descriptor 2, their only way to report."""

import os
import sys
import tempfile


class CapturedErrors:
    """Context manager: inside it nothing reaches stderr; `read` returns what would have."""

    def __enter__(self):
        sys.stderr.flush()
        self._file = tempfile.TemporaryFile()
        self._saved = os.dup(2)
        os.dup2(self._file.fileno(), 2)
        return self

    def read(self) -> str:
        """What was written to stderr so far."""
        self._file.seek(0)
        return self._file.read().decode(errors="replace").strip()

    def __exit__(self, *exception):
        sys.stderr.flush()
        os.dup2(self._saved, 2)
        os.close(self._saved)
        self._file.close()
