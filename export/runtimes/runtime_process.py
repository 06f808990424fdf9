"""Processes that run files of others, so that a file which kills its runtime kills only them."""

import atexit
import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.runtimes.messages import receive, send

# Seconds without any message after which a process counts as hung.
SILENCE_SECONDS = 60.0
# Messages up to this size fit in a pipe; longest text of an error.
PIPE_BYTES, LONGEST_TEXT = 2**15, 500
# Processes without a file that are kept for the next one.
MOST_IDLE = 4
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from export.runtimes.server import serve; serve()"
)

_idle: list["RuntimeProcess"] = []
# Reentrant, because a lease can end while this thread takes one.
_lock = threading.RLock()


class RuntimeProcess:
    """A process that runs one file at a time."""

    def __init__(self):
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *(path for path in sys.path if path not in ("", root))]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- open as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-W", "ignore", "-c", _PROGRAM, json.dumps(paths)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._busy = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()
        weakref.finalize(self, self._process.kill)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def request(
        self,
        header: dict[str, Any],
        arrays: Sequence[np.ndarray] = (),
        seconds: float | None = None,
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Send a message, and return its answer.

        Args:
            header: "do" names a method of the server; the rest are its arguments.
            arrays: Arrays for it.
            seconds: Longest silence; `SILENCE_SECONDS` by default.

        Raises:
            ImportError: The process lacks the runtime's package.
            RuntimeError: The process answered with an error, died or hung; one line.
        """
        seconds = SILENCE_SECONDS if seconds is None else seconds
        with self._busy:
            self._send(header, arrays, seconds)
            answer = self._answer(seconds)
        if "error" in answer[0]:
            text = _one_line(str(answer[0]["text"]))
            if answer[0]["error"] in ("ImportError", "ModuleNotFoundError"):
                raise ImportError(text)
            raise RuntimeError(text or str(answer[0]["error"]))
        return answer

    def kill(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _send(self, header, arrays, seconds):
        assert self._process.stdin is not None
        # A process that hangs does not read what its pipe cannot hold.
        timer = threading.Timer(seconds, self._process.kill)
        if sum(array.nbytes for array in arrays) > PIPE_BYTES:
            timer.start()
        try:
            send(self._process.stdin, header, arrays)
        # It has died, and closes the queue of answers; ValueError: its pipe is closed.
        except (OSError, ValueError):
            pass
        finally:
            timer.cancel()

    def _answer(self, seconds):
        while True:
            try:
                answer = self._answers.get(timeout=seconds)
            except queue.Empty:
                self.kill()
                raise RuntimeError(f"the runtime gave no answer within {seconds:g} s") from None
            if answer is None:
                # Later requests must not wait for an answer.
                self._answers.put(None)
                status = self._process.wait()
                with contextlib.suppress(OSError):
                    assert self._process.stdin is not None
                    self._process.stdin.close()
                kind = "signal" if status < 0 else "exit status"
                raise RuntimeError(f"the runtime's process died ({kind} {abs(status)})")
            if "beat" not in answer[0]:
                return answer

    def _listen(self):
        stream = self._process.stdout
        assert stream is not None
        try:
            while (message := receive(stream)) is not None:
                self._answers.put(message)
        # A damaged process can write anything.
        except Exception:
            self._process.kill()
        self._answers.put(None)


def _one_line(text: str) -> str:
    """A message of another process without line breaks and control characters."""
    shown = "".join(c if c.isprintable() or c.isspace() else "?" for c in text)
    return " ".join(shown.split())[:LONGEST_TEXT]


class Lease:
    """A process for one file on one runtime; it serves another file when the lease is dropped."""

    def __init__(self):
        with _lock:
            idle = _idle.pop() if _idle else None
        self.process = idle if idle is not None and idle.is_alive else RuntimeProcess()
        weakref.finalize(self, _return, self.process).atexit = False


def _return(process: RuntimeProcess) -> None:
    with _lock:
        if process.is_alive and len(_idle) < MOST_IDLE:
            _idle.append(process)
            return
    process.kill()


# A forked process must not talk to the processes of its parent.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)


@atexit.register
def _end() -> None:
    with _lock:
        for process in _idle:
            process.kill()
        _idle.clear()
