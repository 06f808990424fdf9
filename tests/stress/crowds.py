"""Crowds: 16 processes and 16 threads that want the same at the same time."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tests.stress.kinds import Kind, Result

_ROOT = Path(__file__).parents[2]
CROWD = 16
# One crowd of so many loads a preset, which takes seconds per process; the others take less.
_LOAD = 15
PRESET = "half-cheetah-micro"


def download(server: Any, home: Path, number: int) -> None:
    """Download the same preset."""
    from zoo.hub import download, preset_files

    os.environ.update(LNN_HOME=str(home), LNN_ZOO_URL=server.url)
    assert preset_files.is_whole(download.folder_named("mine"), None)


def write(server: Any, home: Path, number: int) -> None:
    """Write the same folder and the same file."""
    from lnn_keras.atomic_folder import whole_file, whole_folder

    for _ in range(3):
        with whole_folder(home / "folder", proof="proof") as folder:
            (folder / "proof").write_text(str(number))
            (folder / "other").write_text(str(number) * 1000)
        with whole_file(home / "file") as file:
            file.write_text(str(number) * 1000)


def load(server: Any, home: Path, number: int) -> None:
    """Load the same bundled preset."""
    import zoo

    assert zoo.load(PRESET).count_params() > 0


def run(count: int, seed: int) -> Result:
    """Start `count` crowds."""
    command = [sys.executable, "-m", "tests.stress.crowds", str(count), str(seed)]
    done = subprocess.run(
        command,
        cwd=_ROOT,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return Result(1, [f"the trials ended with {done.stderr[-2000:]!r}"])
    tried, failures = json.loads(done.stdout.splitlines()[-1])
    return Result(tried, failures)


KINDS = (
    Kind(
        "crowds of 16 processes and of 16 threads: download, write, load",
        60,
        run,
        "one download, no error, whole folders, nothing hidden",
    ),
)


def _main(count: int, seed: int) -> None:
    from tests.stress.hostile_server import HostileServer

    if count > _LOAD:
        # The trials that load a preset need Keras; processes are forked with it.
        import lnn_keras  # noqa: F401
        import zoo.hub.store  # noqa: F401
    else:
        from tests.stress.folder_replacement import without_keras

        without_keras()
    server, result = HostileServer(), Result()
    for number in range(count):
        job = load if number % _LOAD == _LOAD - 1 else (download, write)[number % 2]
        crowd = (_processes, _threads)[number // 2 % 2]
        home = Path(tempfile.mkdtemp(prefix="crowd-"))
        _publish(server, random.Random(f"{seed} {number}"))
        failure = crowd(partial(job, server, home)) or _wrong(job, server, home)
        result.add(failure and f"{job.__name__} by {crowd.__name__.strip('_')}: {failure}")
        shutil.rmtree(home)
    print(json.dumps([result.tried, result.failures]))


def _publish(server: Any, draw: random.Random) -> None:
    """Publish a preset of some files on a server."""
    import hashlib

    contents = {name: draw.randbytes(50_000) for name in ("config.json", "model.weights.h5")}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    metadata = json.dumps({"sha256": digests}).encode()
    entry = {"metadata.json": hashlib.sha256(metadata).hexdigest()}
    server.requested = []
    server.files = {
        "manifest.json": json.dumps({"presets": {"mine": entry}}).encode(),
        "presets/mine/metadata.json": metadata,
        **{f"presets/mine/{name}": data for name, data in contents.items()},
    }


def _wrong(job: Callable, server: Any, home: Path) -> str | None:
    """The fault after a crowd, or None."""
    if hidden := [path.name for path in home.rglob(".*")]:
        return f"{hidden} remain"
    if job is download:
        files = [path for path in server.requested if path != "manifest.json"]
        return None if len(files) == len(set(files)) == 3 else f"{files} were downloaded"
    if job is write:
        number = (home / "folder" / "proof").read_text()
        texts = (home / "folder" / "other").read_text(), (home / "file").read_text()
        whole = texts[0] == number * 1000 and len(set(texts[1][:2] * 500)) <= 2
        return None if whole and len(texts[1]) in (1000, 2000) else "the files are mixed"
    return None


def _processes(job: Callable[[int], None]) -> str | None:
    """Run a job in forked processes that start together; the first failure."""
    start_reader, start_writer = os.pipe()
    reader, writer = os.pipe()
    pids = []
    for number in range(CROWD):
        pid = os.fork()
        if pid == 0:
            os.close(start_writer)
            # Ends when the parent closes its end.
            os.read(start_reader, 1)
            failure = _failure(job, number)
            if failure:
                os.write(writer, failure.encode()[:500])
            os._exit(0)
        pids.append(pid)
    os.close(writer)
    os.close(start_reader)
    os.close(start_writer)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    with os.fdopen(reader) as file:
        failures = file.read()
    return failures[:500] or (f"statuses {statuses}" if any(statuses) else None)


def _threads(job: Callable[[int], None]) -> str | None:
    """Run a job in threads of a forked process; the first failure."""

    def crowd(_: int) -> None:
        with ThreadPoolExecutor(CROWD) as threads:
            failures = list(threads.map(lambda number: _failure(job, number), range(CROWD)))
        assert not any(failures), next(filter(None, failures))

    return _in_process(crowd)


def _in_process(job: Callable[[int], None]) -> str | None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        failure = _failure(job, 0)
        os.write(writer, (failure or "").encode()[:500])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        failure = file.read()
    status = os.waitpid(pid, 0)[1]
    return failure or (f"status {status}" if status else None)


def _failure(job: Callable[[int], None], number: int) -> str | None:
    try:
        job(number)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]))
