"""Training on several devices or processes: the losses of one device, and resumable runs."""

import os
import subprocess
import sys
from pathlib import Path

import distributed_training
import numpy as np
import pytest
from distributed_training import losses

pytest.importorskip("jax")

# Devices add gradients in another order, which changes the last bits of float32 losses.
ROUNDING = {"rtol": 3e-5, "atol": 1e-4}


@pytest.fixture(scope="module", autouse=True)
def mirrored_runs(tmp_path_factory):
    """A process that trains on one device of TensorFlow, then on two; it runs meanwhile."""
    folder = tmp_path_factory.mktemp("mirrored")
    one, two = folder / "one", folder / "two"
    program = (
        "import pathlib, sys, slim_keras, distributed_training; "
        "distributed_training.run_one_then_mirrored(*map(pathlib.Path, sys.argv[1:]))"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-c", program, one, two],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process, one, two
    if process.poll() is None:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def jax_runs(jax_processes, tmp_path_factory):
    """Runs on one device and on four, of which the second was killed in its second epoch."""
    folder = tmp_path_factory.mktemp("runs")
    one, four = folder / "one", folder / "four"
    killed = jax_processes.start(distributed_training.run_one_then_four, one, four, devices=4)
    killed.wait(code=distributed_training.KILLED)
    return one, four


def test_four_devices_train_like_one(jax_runs, jax_processes):
    """A killed run resumes."""
    one, four = jax_runs
    with pytest.raises(FileNotFoundError):
        losses(four)
    jax_processes.start(distributed_training.run, four, "jax", devices=4).wait()
    np.testing.assert_allclose(losses(four), losses(one), **ROUNDING)


@pytest.mark.slow  # tests/zoo/test_distribution_command.py trains with two processes, too.
def test_two_processes_train_like_one_device(jax_runs, jax_processes, free_address, tmp_path):
    """They connect over loopback; only the first writes checkpoints, both return the losses."""
    one, _ = jax_runs
    hosts = (free_address, "127.0.0.1")
    processes = [
        jax_processes.start(distributed_training.run, tmp_path, "jax", hosts, index)
        for index in range(2)
    ]
    for index, process in enumerate(processes):
        process.wait()
        np.testing.assert_allclose(losses(tmp_path, index), losses(one), **ROUNDING)


def test_mirrored_devices_train_like_one(mirrored_runs):
    """TensorFlow's MirroredStrategy."""
    process, one, two = mirrored_runs
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    np.testing.assert_allclose(losses(two), losses(one), **ROUNDING)
