"""Kills at each step of the replacement of a folder and of a file, in a process without Keras."""

import json
import shutil
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stress.killed_steps import runs_to_its_end
from tests.stress.kinds import Kind, Result

_ROOT = Path(__file__).parents[2]
OLD = {"state.json": b"old", "a.bin": b"1" * 100}
NEW = {"state.json": b"new", "a.bin": b"2" * 200, "b.bin": b"3"}
# Where the system can exchange two folders, and where it cannot; with and without an old folder.
SITUATIONS = [(exchange, old) for exchange in (True, False) for old in (True, False)]
# Steps of one situation; the function ends before, which the trials show.
_MOST_STEPS = 5_000


def run(count: int, seed: int) -> Result:
    """Kill writers at `count` of the steps, evenly spread; at all of them if there are fewer."""
    command = [sys.executable, "-m", "tests.stress.folder_replacement", str(count), str(seed)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return Result(1, [f"the trials ended with {done.stderr[-300:]!r}"])
    tried, failures = json.loads(done.stdout)
    return Result(tried, failures)


KINDS = (
    Kind(
        "kills at each step of a folder's and a file's replacement",
        3_000,
        run,
        "the old or the new content; the next start leaves nothing hidden",
    ),
)


def _main(count: int, seed: int) -> None:
    atomic_folder = without_keras()
    result = Result()
    functions = (_write_folder, _write_file)
    share = max(1, count // (len(functions) * len(SITUATIONS)))
    for write in functions:
        for exchange, old in SITUATIONS:
            if not exchange:
                atomic_folder._exchange = atomic_folder.exchange
                atomic_folder.exchange = lambda new, target: False
            steps = _steps(atomic_folder, write, old)
            stride = max(1, steps // share)
            for step in range(1 + seed % stride, steps + 1, stride):
                failure = _failure(atomic_folder, write, old, step)
                result.add(failure and f"{write.__name__}, {exchange=}, {old=}, {step=}: {failure}")
            if not exchange:
                atomic_folder.exchange = atomic_folder._exchange
    print(json.dumps([result.tried, result.failures]))


def _steps(atomic_folder, write, old: bool) -> int:
    """The number of C calls of a write."""
    low, high = 1, _MOST_STEPS
    while low < high:
        middle = (low + high) // 2
        with _target(old, write) as target:
            ended = runs_to_its_end(lambda: write(atomic_folder, target, NEW), middle)
        low, high = (low, middle) if ended else (middle + 1, high)
    return low


def _failure(atomic_folder, write: Callable, old: bool, step: int) -> str | None:
    """Kill a write before a step, and start again: the fault afterwards."""
    with _target(old, write) as target:
        runs_to_its_end(lambda: write(atomic_folder, target, NEW), step)
        atomic_folder.recover(target)
        left = _content(target)
        whole = [_expected(write, NEW), _expected(write, OLD) if old else None]
        if left not in whole:
            return f"it holds {str(left)[:100]}"
        if hidden := [path.name for path in target.parent.iterdir() if path != target]:
            return f"{hidden} remain"
        write(atomic_folder, target, NEW)
        if _content(target) != _expected(write, NEW):
            return "the next start did not write it"
        if hidden := [path.name for path in target.parent.iterdir() if path != target]:
            return f"{hidden} remain after the next start"
    return None


def _write_folder(atomic_folder, target: Path, content: dict[str, bytes]) -> None:
    with atomic_folder.whole_folder(target, "state.json", {"a.bin"}) as folder:
        for name, data in content.items():
            (folder / name).write_bytes(data)


def _write_file(atomic_folder, target: Path, content: dict[str, bytes]) -> None:
    with atomic_folder.whole_file(target) as file:
        file.write_bytes(content["a.bin"])


def _expected(write: Callable, content: dict[str, bytes]) -> dict[str, bytes] | bytes:
    return content if write is _write_folder else content["a.bin"]


def _content(target: Path) -> dict[str, bytes] | bytes | None:
    if target.is_dir():
        return {path.name: path.read_bytes() for path in target.iterdir()}
    return target.read_bytes() if target.exists() else None


@contextmanager
def _target(old: bool, write: Callable) -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="replacement-"))
    target = parent / "target"
    try:
        if old and write is _write_folder:
            target.mkdir()
            for name, data in OLD.items():
                (target / name).write_bytes(data)
        elif old:
            target.write_bytes(OLD["a.bin"])
        yield target
    finally:
        shutil.rmtree(parent)


def without_keras() -> types.ModuleType:
    """`lnn_keras.atomic_folder`, without the package's import of Keras: a fork takes 1 ms."""
    package = types.ModuleType("lnn_keras")
    package.__path__ = [str(_ROOT / "lnn_keras")]
    sys.modules["lnn_keras"] = package
    from lnn_keras import atomic_folder

    return atomic_folder


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]))
