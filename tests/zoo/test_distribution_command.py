"""`lnn train --hosts` and `lnn sweep --worker` as commands: they work, or say why not."""

import json
import threading

import lnn_command
import numpy as np
import pytest
import sweep_worker

from zoo.experiments import runs
from zoo.training import rendezvous

pytest.importorskip("jax")


def train(jax_processes, address, index, folder, *options):
    """Start a process of a distributed training."""
    hosts = f"{address},127.0.0.1"
    arguments = ("train", "small", "--distribute", "jax", "--hosts", hosts, "--index", str(index))
    return jax_processes.start(lnn_command.run, *arguments, "--runs", str(folder), *options)


def losses(folder):
    path = runs.folder_of(folder, sweep_worker.preset(), "liquid", 0) / runs.RESULT
    return [epoch["loss"] for epoch in json.loads(path.read_text())["history"]]


def test_two_processes_train_like_one(jax_processes, free_address, tmp_path):
    both = [train(jax_processes, free_address, index, tmp_path / "two") for index in range(2)]
    one = jax_processes.start(lnn_command.run, "train", "small", "--runs", str(tmp_path / "one"))
    for process in (*both, one):
        process.wait()
        assert "status 0" in process.output(), process.output()
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), atol=1e-4)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (0, "lnn: Waited 1 s for the processes with `--index` 1; start them with the same"),
        (1, "lnn: Waited 1 s for process 0 at 127.0.0.1:"),
    ],
)
def test_a_missing_host_is_one_line(index, message, jax_processes, free_address, tmp_path):
    process = train(jax_processes, free_address, index, tmp_path, "--timeout", "1")
    process.wait()
    line, status = process.output().splitlines()
    assert line.startswith(message) and status == "status 2"


def test_processes_that_train_different_things_are_refused(jax_processes, free_address, tmp_path):
    first = train(jax_processes, free_address, 0, tmp_path)
    second = train(jax_processes, free_address, 1, tmp_path, "--seed", "1")
    for process in (first, second):
        process.wait()
        line, status = process.output().splitlines()
        assert line == (
            "lnn: Process 1 trains 'small liquid seed 1', process 0 trains 'small liquid seed 0'; "
            "all must train the same."
        )
        assert status == "status 2"


def test_a_worker_of_another_preset_is_refused(jax_processes, free_address, tmp_path):
    pytest.importorskip("keras_tuner")
    sweep = ("sweep", "small", "--runs", str(tmp_path))
    chief = jax_processes.start(lnn_command.run, *sweep, "--chief", free_address)
    wrong = jax_processes.start(
        lnn_command.run, "sweep", "other", "--runs", str(tmp_path), "--worker", free_address
    )
    wrong.wait()
    line, status = wrong.output().splitlines()[-2:]
    assert line.startswith("lnn: The chief at") and "'small', not 'other'" in line
    assert status == "status 2"
    right = jax_processes.start(lnn_command.run, *sweep, "--worker", free_address)
    right.wait()
    chief.wait()
    assert "(1 seeds)" in chief.output()


def meet_all(address, greetings):
    """Meet in threads: the message of each one's error, or None."""
    answers = [None] * len(greetings)

    def join(number, processes, index, task):
        try:
            rendezvous.meet(address, processes, index, task, 5.0)
        except (ValueError, OSError) as error:
            answers[number] = str(error)

    threads = [
        threading.Thread(target=join, args=(number, *greeting))
        for number, greeting in enumerate(greetings)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_meeting(free_address):
    assert meet_all(free_address, [(3, 0, "a"), (3, 1, "a"), (3, 2, "a")]) == [None] * 3
    # The address is free again.
    assert meet_all(free_address, [(2, 0, "a"), (2, 1, "a")]) == [None] * 2


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ((2, 1, "b"), "all must train the same"),
        ((3, 1, "a"), "has 3 hosts, process 0 has 2"),
        ((2, 5, "a"), "Two processes have `--index` 5"),
    ],
)
def test_a_process_that_does_not_fit(second, message, free_address):
    first, other = meet_all(free_address, [(2, 0, "a"), second])
    assert first == other and message in first


def test_a_port_in_use(free_address):
    import socket

    port = int(free_address.rpartition(":")[2])
    with socket.create_server(("", port)), pytest.raises(OSError, match=f"cannot use port {port}"):
        rendezvous.meet(free_address, 2, 0, "a", 1.0)
