"""The process that runs files of others: it answers messages until its input ends.

It loads numpy and the interpreters only, so that it starts in a fraction of a second.
"""

import contextlib
import os
import sys
import time
from typing import Any

import numpy as np

from export.runtimes.interpreters import (
    LiteRTInterpreter,
    MicroInterpreter,
    run_signature,
    run_steps,
)
from export.runtimes.messages import receive, send

# A message says that the process is alive, at most this often.
BEAT_SECONDS = 1.0
# Memory beyond this ends the process, not the machine.
LARGEST_MEMORY = 8 * 2**30


class _Server:
    """Runs one file on one runtime."""

    def __init__(self, answers: Any):
        self._answers, self._interpreter = answers, None
        self._last_beat = 0.0

    def start(self, header: dict[str, Any], arrays: list[np.ndarray]):
        """Start an interpreter on a file."""
        content, settings = arrays[0].tobytes(), header["settings"]
        kind = {"litert": LiteRTInterpreter, "micro": MicroInterpreter}[header["runtime"]]
        self._interpreter = None
        self._interpreter = kind(content, **settings)
        return {"arena_bytes": self._interpreter.arena_bytes}, []

    def invoke(self, header: dict[str, Any], arrays: list[np.ndarray]):
        """Run one step."""
        return {}, self._running().invoke(arrays)

    def steps(self, header: dict[str, Any], arrays: list[np.ndarray]):
        """Run steps in closed loop."""
        rows = dict(zip(header["rows"], arrays, strict=False))
        initial = arrays[len(rows) :]
        outputs, seconds = run_steps(
            self._running().invoke,
            rows,
            initial,
            header["feedback"],
            header["length"],
            self._beat,
        )
        return {}, [*outputs, seconds]

    def sequence(self, header: dict[str, Any], arrays: list[np.ndarray]):
        """Run a signature once."""
        inputs = dict(zip(header["names"], arrays[1:], strict=True))
        outputs = run_signature(arrays[0].tobytes(), header["signature"], inputs, header["xnnpack"])
        return {"names": list(outputs)}, list(outputs.values())

    def _running(self) -> Any:
        if self._interpreter is None:
            raise RuntimeError("no interpreter was started")
        return self._interpreter

    def _beat(self) -> None:
        if time.monotonic() - self._last_beat > BEAT_SECONDS:
            self._last_beat = time.monotonic()
            send(self._answers, {"beat": True})


def serve() -> None:
    """Answer messages on stdin until it ends."""
    _limit_memory()
    # Libraries that print must not end up between the messages.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    server = _Server(answers)
    while (message := receive(sys.stdin.buffer)) is not None:
        header, arrays = message
        try:
            answer, results = getattr(server, header["do"])(header, arrays)
        # Interpreters raise many types.
        except Exception as error:
            answer, results = {"error": type(error).__name__, "text": str(error)}, []
        send(answers, answer, results)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    # macOS refuses some limits.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        if most == resource.RLIM_INFINITY or most > LARGEST_MEMORY:
            resource.setrlimit(resource.RLIMIT_AS, (LARGEST_MEMORY, most))
