"""The meeting of the processes of a distributed training, before JAX connects them.

JAX waits for minutes without a word, and ends the process if one is missing. Here all processes
meet first, at the address of JAX's coordinator, and compare what they train.
"""

import contextlib
import json
import socket
import time
from typing import Any

_MAX_LINE, _POLL = 4096, 0.2


def meet(address: str, processes: int, index: int, task: str, seconds: float) -> None:
    """Wait until all processes are there; afterwards the address is free again.

    Args:
        address: host:port of process 0.
        processes: The number of processes.
        index: The index of this process.
        task: The training of this process, in words; it must be the same for all.
        seconds: Time to wait for the others.

    Raises:
        TimeoutError: A process is missing.
        ValueError: Another process has the same index, or trains something else.
        OSError: Process 0 cannot use the address.
    """
    end = time.monotonic() + seconds
    host, _, port = address.rpartition(":")
    if index == 0:
        _await(int(port), {"processes": processes, "task": task}, end, seconds)
    else:
        greeting = {"index": index, "processes": processes, "task": task}
        _join((host.strip("[]"), int(port)), greeting, end, seconds)


def _await(port: int, expected: dict[str, Any], end: float, seconds: float) -> None:
    """Collect the greetings of all other processes, and answer them."""
    try:
        listener = socket.create_server(("", port))
    except OSError as error:
        raise OSError(f"Process 0 cannot use port {port}: {error.strerror}.") from error
    joined: dict[int, socket.socket] = {}
    with listener, contextlib.ExitStack() as stack:
        while missing := sorted(set(range(1, expected["processes"])) - joined.keys()):
            connection = _accepted(listener, end)
            if connection is None:
                numbers = ", ".join(map(str, missing))
                raise TimeoutError(
                    f"Waited {seconds:g} s for the processes with `--index` {numbers}; start them "
                    "with the same `--hosts`."
                )
            stack.enter_context(connection)
            greeting = _received(connection, end)
            # Something else may look at open ports.
            if not isinstance(greeting.get("index"), int):
                continue
            failure = _difference(greeting, expected, joined)
            if failure:
                for other in (connection, *joined.values()):
                    _send(other, {"failure": failure})
                raise ValueError(failure)
            joined[greeting["index"]] = connection
        for connection in joined.values():
            _send(connection, {"failure": None})
            # The one that closes a connection first keeps its port for a while.
            _received(connection, end)


def _difference(
    greeting: dict[str, Any], expected: dict[str, Any], joined: dict[int, Any]
) -> str | None:
    """Why a process cannot join, or None."""
    index = greeting["index"]
    if greeting.get("processes") != expected["processes"]:
        return (
            f"Process {index} has {greeting.get('processes')} hosts, process 0 has "
            f"{expected['processes']}; give all the same `--hosts`."
        )
    if index in joined or not 0 < index < expected["processes"]:
        return f"Two processes have `--index` {index}; each needs its own."
    if greeting.get("task") != expected["task"]:
        return (
            f"Process {index} trains {greeting.get('task')!r}, process 0 trains "
            f"{expected['task']!r}; all must train the same."
        )
    return None


def _join(address: tuple[str, int], greeting: dict[str, Any], end: float, seconds: float) -> None:
    """Tell process 0 that this one is there, and wait for its answer."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(address, _left(end)) as server:
            _send(server, greeting)
            answer = _received(server, end)
            if answer.get("failure"):
                raise ValueError(answer["failure"])
            if "failure" in answer:
                return
        if time.monotonic() > end:
            raise TimeoutError(
                f"Waited {seconds:g} s for process 0 at {address[0]}:{address[1]}, or for another "
                "process that it waits for."
            )
        time.sleep(_POLL)


def _accepted(listener: socket.socket, end: float) -> socket.socket | None:
    listener.settimeout(_left(end))
    try:
        return listener.accept()[0]
    except TimeoutError:
        return None


def _received(connection: socket.socket, end: float) -> dict[str, Any]:
    """The object in the next line, or an empty one."""
    data = b""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        while not data.endswith(b"\n") and len(data) < _MAX_LINE:
            connection.settimeout(_left(end))
            part = connection.recv(_MAX_LINE)
            if not part:
                break
            data += part
        value = json.loads(data)
        return value if isinstance(value, dict) else {}
    return {}


def _send(connection: socket.socket, value: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(value).encode() + b"\n")


def _left(end: float) -> float:
    return max(end - time.monotonic(), 0.01)
