"""Data, models and processes that the tests of the zoo share."""

import dataclasses
import functools
import json
import socket

import keras
import numpy as np
import pytest
from preset_server import Server

import zoo
from lnn_keras import LiquidCell, LiquidRNN
from zoo.biosignals import icu_mortality
from zoo.data import mitdb, physionet2012
from zoo.local_files import sha256


@pytest.fixture
def small_model():
    """An untrained liquid model of sequences of 3 features."""
    layer = LiquidRNN(LiquidCell(4), return_sequences=True)
    return keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(2)])


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A small model in a folder and in a `.keras` file, which tests must not change."""
    layer = LiquidRNN(LiquidCell(4), return_sequences=True, name="liquid")
    model = keras.Sequential(
        [keras.Input((None, 3)), layer, keras.layers.Dense(2, "relu", name="readout")]
    )
    model.compile("adam", "mse")
    path = tmp_path_factory.mktemp("saved")
    zoo.save(model, path / "folder", card="# Card", samples={"inputs": np.ones((1, 5, 3))})
    model.save(path / "model.keras")
    return path


@pytest.fixture
def config(saved):
    """The parsed config, to damage."""
    return json.loads((saved / "folder/config.json").read_text())


@pytest.fixture(scope="session")
def recorded_test_split(real_data):
    """Function from a preset to the test split on which its metric was recorded."""

    @functools.cache
    def load(load_splits, seed):
        if load_splits is icu_mortality.load_splits:
            return _icu_test_split(seed)
        with pytest.MonkeyPatch.context() as patch:
            # The test split is DS2: the other records need not be read.
            patch.setattr(mitdb, "DS1", mitdb.DS1[:6])
            return load_splits(seed)["test"]

    return lambda preset: load(preset.load_splits, zoo.metadata(preset.name)["seed"])


def _icu_test_split(seed):
    """The test split of `icu_mortality.load_splits`, without parsing the other 3,200 stays."""
    numbers = np.sort(physionet2012.split_stays(seed)["test"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(physionet2012, "DATASET", _physionet_with(numbers))
        measured, static, deaths = physionet2012.stays()
    rows = [icu_mortality.rows_of(*stay) for stay in zip(measured, static, strict=True)]
    inputs = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return inputs, deaths[:, np.newaxis].astype("float32")


def _physionet_with(numbers):
    """PhysioNet 2012 with the files of some stays, and all outcomes."""
    dataset = dataclasses.replace(physionet2012.DATASET)
    names = sorted(name for name in dataset.digests if name.startswith("set-a/"))
    kept = {"Outcomes-a.txt", *(names[number] for number in numbers)}
    digests = {name: digest for name, digest in dataset.digests.items() if name in kept}
    vars(dataset)["digests"] = digests
    return dataset


@pytest.fixture
def first_stays(real_data, monkeypatch):
    """PhysioNet 2012 reduced to its first 40 stays, with the outcomes of all."""
    monkeypatch.setattr(physionet2012, "DATASET", _physionet_with(range(40)))


@pytest.fixture(scope="session")
def jax_processes(tmp_path_factory):
    """Starts functions of modules in processes with Keras on JAX."""
    pytest.importorskip("jax")
    from jax_processes import JaxProcesses

    return JaxProcesses(tmp_path_factory.mktemp("jax"))


@pytest.fixture(scope="session", autouse=True)
def _start_jax_processes(request):
    """Their server imports Keras while other tests run, if any test needs it."""
    if any("jax_processes" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("jax_processes")


@pytest.fixture
def free_address():
    """A free port on loopback, as host:port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def server(small_model, tmp_path, monkeypatch):
    """A server that publishes `small_model` as the preset "mine", for this zoo."""
    site = tmp_path / "site"
    zoo.save(small_model, site / "presets/mine", card="# mine")
    digest = sha256(site / "presets/mine/metadata.json")
    manifest = {"presets": {"mine": {"metadata.json": digest}}}
    (site / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("LNN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LNN_OFFLINE", raising=False)
    server = Server(site)
    monkeypatch.setenv("LNN_ZOO_URL", server.url)
    yield server
    server.http.shutdown()
    server.http.server_close()
