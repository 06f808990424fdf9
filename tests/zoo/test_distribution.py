"""Training on several devices or processes: the losses of one device, and resumable runs."""

import os
import subprocess
import sys
from pathlib import Path

import distributed_training
import keras
import numpy as np
import pytest
from distributed_training import losses

from zoo.training import distribution
from zoo.training.distribution import distributed
from zoo.training.loop import train

pytest.importorskip("jax")

pytestmark = pytest.mark.xdist_group("processes")


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
    np.testing.assert_allclose(losses(four), losses(one), rtol=0, atol=1e-4)


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
        np.testing.assert_allclose(losses(tmp_path, index), losses(one), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jax",), "set KERAS_BACKEND=jax; Keras runs on tensorflow"),
        (("everywhere",), "everywhere"),
        ((None, ["a:1", "b"], 0), "need `--distribute jax`"),
        (("tensorflow", ["a:1", "b"], 0), "need `--distribute jax`"),
    ],
)
def test_wrong_backend_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message), distributed(*arguments):
        pass


@pytest.mark.parametrize(
    ("hosts", "index", "message"),
    [
        (["a:1", "b"], None, "go together"),
        ([], 0, "go together"),
        (["a:1", "b"], 2, "from 0 to 1; received 2"),
        (["a", "b"], 0, "needs a port, host:port; received 'a'"),
    ],
)
def test_hosts_and_index_must_fit(hosts, index, message, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(ValueError, match=message), distributed("jax", hosts, index):
        pass


def test_batch_size_is_a_multiple_of_the_devices(monkeypatch, tmp_path):
    monkeypatch.setattr(distribution, "devices", lambda: 3)
    pairs = np.zeros((8, 4, 2), "float32"), np.zeros((8, 4, 2), "float32")
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="`batch_size` is 8, which 3 devices cannot share"):
        train(model, pairs, pairs, distributed_training.RECIPE, 0, tmp_path)


def test_mirrored_devices_train_like_one(mirrored_runs):
    """TensorFlow's MirroredStrategy."""
    process, one, two = mirrored_runs
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    np.testing.assert_allclose(losses(two), losses(one), rtol=0, atol=1e-4)
