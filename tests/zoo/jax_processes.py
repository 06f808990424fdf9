"""Processes with Keras on JAX, forked from a server that has imported both.

A fork takes milliseconds, an import of Keras seconds. The processes share compiled programs through
JAX's persistent cache, and LLVM does not optimize them: they run for milliseconds.
"""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

TIMEOUT = 300.0
FOLDER = Path(__file__).parent


class JaxProcess:
    """A running process; its standard output and error go to a log file."""

    def __init__(self, process: Any, log: Path):
        self._process, self._log = process, log
        process.start()

    def wait(self, code: int = 0) -> None:
        """Wait until the process ends; fail with its log unless it ends with this exit status."""
        self._process.join(TIMEOUT)
        if self._process.is_alive():
            self._process.kill()
        assert self._process.exitcode == code, self._log.read_text()

    def output(self) -> str:
        """The text that the process wrote to standard output and error."""
        return self._log.read_text()


class JaxProcesses:
    """Starts processes that share the compilation cache in a folder."""

    def __init__(self, folder: Path):
        self._folder, self._count = folder, 0
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["slim_keras"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KERAS_BACKEND", "jax")
            patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder / "compiled"))
            patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
            patch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
            patch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
            # Python 3.11 preloads with the server's own path, not with sys.path.
            patch.setenv("PYTHONPATH", str(FOLDER), prepend=os.pathsep)
            forkserver.ensure_running()

    def start(
        self, function: Callable, *arguments: Any, devices: int = 1, **environment: str
    ) -> JaxProcess:
        """Start `function(*arguments)` in a process.

        Args:
            function: Function of a module, which the process imports.
            arguments: Its arguments.
            devices: Number of virtual devices that JAX divides the CPU into.
            environment: Changes of environment variables.
        """
        self._count += 1
        log = self._folder / f"process-{self._count}.log"
        job = (log, devices, environment, function, arguments)
        return JaxProcess(self._context.Process(target=run, args=job), log)


def run(log: Path, devices: int, environment: dict[str, str], function: Callable, arguments):
    """Call a function in this process; its errors go to the log."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    # Read when JAX is first used, which is after the fork.
    os.environ["XLA_FLAGS"] += f" --xla_force_host_platform_device_count={devices}"
    os.environ.update(environment)
    try:
        function(*arguments)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
