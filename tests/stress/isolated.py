"""Checks in a process of their own, for inputs that can kill the process or never end."""

import multiprocessing
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.stress.kinds import Result
from tests.stress.memory import limit_memory
from tests.stress.trials import run_trials


class IsolatedCheck:
    """A check that runs in another process, which is started again after it died.

    Args:
        check: Function of a module (example) -> None, or why the trial failed.
        seconds: Time limit of one trial.
        little_memory: Whether the memory of the process is limited.

    Example:

    ```python
    with IsolatedCheck(check, seconds=20) as isolated:
        result = run_trials(strategy, isolated, count, seed)
    ```
    """

    def __init__(
        self, check: Callable[[Any], str | None], seconds: float, little_memory: bool = False
    ):
        self._check, self._seconds, self._little_memory = check, seconds, little_memory
        self._process: Any = None
        self._connection: Any = None

    def __call__(self, example: Any) -> str | None:
        if self._process is None:
            self._start()
        self._connection.send(example)
        try:
            if not self._connection.poll(self._seconds):
                self._stop()
                return f"no answer within {self._seconds:g} s"
            return self._connection.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._stop()
            return f"the process died with status {code}"

    def __enter__(self) -> "IsolatedCheck":
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        arguments = (self._check, self._little_memory, other)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        other.close()
        # Imports count for the start, not for the first trial.
        self._connection.poll(120)
        self._connection.recv()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
        self._process = None


def run_with_little_memory(
    strategy: st.SearchStrategy, check: Callable[[Any], str | None], count: int, seed: int
) -> Result:
    """`run_trials` with a check that runs in a process with little memory."""
    with IsolatedCheck(check, seconds=30, little_memory=True) as isolated:
        return run_trials(strategy, isolated, count, seed)


def _serve(check: Callable[[Any], str | None], little_memory: bool, connection: Any) -> None:
    # The module of the check is imported by now.
    if little_memory:
        limit_memory()
    connection.send("ready")
    while True:
        try:
            example = connection.recv()
        except EOFError:
            return
        try:
            answer = check(example)
        except BaseException as error:
            answer = f"{type(error).__name__}: {str(error)[:200]!r}"
        connection.send(answer)
