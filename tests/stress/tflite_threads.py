"""Steppers that are made and run in 16 threads at once, while others write to stderr."""

import os
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tests.stress.kinds import Kind, Result
from tests.stress.tflite_files import FEATURES, bases, saved_model

THREADS, STEPS = 16, 4


def _outputs(content: bytes, model: Any) -> dict[str, np.ndarray]:
    """The outputs of the first steps on each runtime."""
    import export

    x = np.linspace(-1, 1, STEPS * FEATURES, dtype="float32").reshape(1, STEPS, FEATURES)
    return {
        stepper.name: np.stack([stepper(x[:, step]) for step in range(STEPS)])
        for stepper in export.steppers(content, model)
    }


def run(count: int, seed: int, names: tuple[str, ...] = (), strange: int = 8) -> Result:
    """Make and run steppers of several files in threads, and compare with one thread.

    Args:
        count: Number of times that steppers are made.
        seed: Seed of the order of the files.
        names: Names of the files; all by default.
        strange: Every n-th file counts as a file of others, so that it has its own processes.
    """
    files = [base for base in bases(names) if "micro" in base.name and "window" not in base.name]
    models = {base.name: saved_model(base.model) for base in files}
    expected = {base.name: _outputs(base.content, models[base.name]) for base in files}
    order = np.random.default_rng(seed).integers(0, len(files), count)

    def trial(number: int) -> str | None:
        base = files[order[number]]
        # Bytes behind the last table change the file's digest, not its meaning.
        padding = bytes(16) if number % strange == 0 else b""
        try:
            received = _outputs(base.content + padding, models[base.name])
            for name, values in expected[base.name].items():
                np.testing.assert_array_equal(received[name], values)
        except Exception as error:
            return f"{base.name}: {type(error).__name__}: {str(error)[:200]!r}"
        return None

    result = Result()
    written = _Writers()
    with written, ThreadPoolExecutor(THREADS) as pool:
        for failure in pool.map(trial, range(count)):
            result.add(failure)
    result.add(written.failure)
    return result


class _Writers:
    """Threads that write numbered lines to stderr, which goes to a file meanwhile."""

    failure: str | None = None

    def __enter__(self) -> "_Writers":
        sys.stderr.flush()
        self._file, self._saved = tempfile.TemporaryFile(), os.dup(2)
        os.dup2(self._file.fileno(), 2)
        self._stop, self._lines = threading.Event(), [0, 0]
        self._threads = [threading.Thread(target=self._write, args=(i,)) for i in range(2)]
        for thread in self._threads:
            thread.start()
        return self

    def _write(self, writer: int) -> None:
        while not self._stop.wait(0.001):
            os.write(2, f"line {writer} {self._lines[writer]}\n".encode())
            self._lines[writer] += 1

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        os.dup2(self._saved, 2)
        os.close(self._saved)
        self._file.seek(0)
        received = Counter(self._file.read().decode(errors="replace").splitlines())
        lines = [f"line {i} {n}" for i, count in enumerate(self._lines) for n in range(count)]
        lost = [line for line in lines if received[line] != 1]
        if lost:
            self.failure = f"{len(lost)} of {len(lines)} lines to stderr are lost or repeated"


KINDS = (
    Kind(
        name="16 threads with Steppers",
        count=400,
        run=run,
        right="the numbers of one thread, and no line to stderr is lost",
    ),
)
