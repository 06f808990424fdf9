"""Training spread over devices and processes: the losses of one device, and a run that resumes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoo.training.distribution import distributed

SPREAD = Path(__file__).with_name("spread.py")
FOUR_DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}

pytest.importorskip("jax")


def start(folder, way, *hosts_and_index, backend="jax", **environment):
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, SPREAD, folder, way, *hosts_and_index],
        env={**os.environ, "KERAS_BACKEND": backend, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes, code=0):
    for process in processes:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == code, said


def losses(folder, index=0):
    history, predicted = json.loads((folder / f"losses-{index}.json").read_text())
    return np.array([*np.ravel(history), predicted])


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The losses of one device on JAX."""
    folder = tmp_path_factory.mktemp("one")
    finish(start(folder, "none"))
    return losses(folder)


def test_two_processes_train_as_one_does(one, tmp_path):
    """They meet on loopback; the first alone writes, and both know the same."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        hosts = f"127.0.0.1:{found.getsockname()[1]},127.0.0.1"
    finish(*(start(tmp_path, "jax", hosts, str(index)) for index in range(2)))
    for index in range(2):
        np.testing.assert_allclose(losses(tmp_path, index), one, rtol=0, atol=1e-4)


def test_four_devices_train_as_one_does(one, tmp_path):
    """A run that is killed on the way goes on."""
    finish(start(tmp_path, "jax", **FOUR_DEVICES, LNN_TEST_STOP="1"), code=9)
    assert not (tmp_path / "losses-0.json").exists()
    finish(start(tmp_path, "jax", **FOUR_DEVICES))
    np.testing.assert_allclose(losses(tmp_path), one, rtol=0, atol=1e-4)


def test_mirrored_devices_train_as_one_does(tmp_path):
    """TensorFlow's own strategy; each device draws its own dropout, so there is none here."""
    same = {"backend": "tensorflow", "LNN_TEST_DROPOUT": "0"}
    first, second = tmp_path / "one", tmp_path / "two"
    finish(start(first, "none", **same))
    finish(start(second, "tensorflow", **same, LNN_TEST_CPUS="2"))
    np.testing.assert_allclose(losses(second), losses(first), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jax",), "set KERAS_BACKEND=jax; Keras runs on tensorflow"),
        (("everywhere",), "everywhere"),
        ((None, ["a:1", "b"], 0), "need `--distribute jax`"),
        (("tensorflow", ["a:1", "b"], 0), "need `--distribute jax`"),
    ],
)
def test_what_does_not_fit_is_named(arguments, message):
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
def test_hosts_and_index_fit(hosts, index, message, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(ValueError, match=message), distributed("jax", hosts, index):
        pass


def test_a_batch_is_shared_evenly(monkeypatch, tmp_path):
    from test_training import RECIPE, make_model

    from zoo.training import distribution
    from zoo.training.loop import train

    monkeypatch.setattr(distribution, "devices", lambda: 3)
    pairs = np.zeros((8, 4, 2), "float32"), np.zeros((8, 4, 2), "float32")
    with pytest.raises(ValueError, match="`batch_size` is 8, which 3 devices cannot share"):
        train(make_model(), pairs, pairs, RECIPE, 0, tmp_path)
