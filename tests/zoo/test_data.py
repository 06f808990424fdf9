"""The loaders: only the published files are read."""

import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from zoo.data import half_cheetah
from zoo.data.dataset import DataError, Dataset

SHA_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def dataset(source="http://127.0.0.1:9/", digest=SHA_OF_HELLO):
    greeting = Dataset("greeting", "A greeting", source, "CC0-1.0")
    vars(greeting)["digests"] = {"hello.txt": digest}
    return greeting


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "greeting").mkdir()
    (tmp_path / "greeting/hello.txt").write_text("hello")
    monkeypatch.setenv("LNN_DATA_DIR", str(tmp_path))
    return tmp_path / "greeting"


@pytest.fixture
def server(folder, monkeypatch, tmp_path):
    """An HTTP server on loopback that serves the folder; the cache is empty."""
    monkeypatch.delenv("LNN_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        # Polls for the end of the test.
        serve = partial(http.serve_forever, poll_interval=0.01)
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}/"
        http.shutdown()


def test_local_folder(folder):
    assert dataset().fetch()["hello.txt"].read_text() == "hello"


def test_download_is_verified_and_cached(server, folder):
    assert dataset(server).fetch()["hello.txt"].read_text() == "hello"
    shutil.rmtree(folder)
    assert dataset(server).fetch()["hello.txt"].read_text() == "hello"


def test_wrong_download_is_refused(server):
    with pytest.raises(DataError, match=r"Cannot fetch .*hello.txt.*Set LNN_DATA_DIR"):
        dataset(server, "0" * 64).fetch()


def test_wrong_and_missing_files_are_named(folder):
    (folder / "hello.txt").write_text("hullo")
    with pytest.raises(DataError, match=r"hello.txt is not the published file"):
        dataset().fetch()
    (folder / "hello.txt").unlink()
    with pytest.raises(DataError, match=r"lacks 1 of the 1 files.*hello.txt"):
        dataset().fetch()


def test_windows_follow_the_protocol():
    traces = np.arange(2 * 1000).reshape(2, 1000, 1).astype("float32")
    inputs, targets = half_cheetah.windows(traces)
    assert inputs.shape == targets.shape == (2 * 97, 32, 1)
    np.testing.assert_array_equal(inputs[1, :, 0], np.arange(10, 42))
    np.testing.assert_array_equal(targets, inputs + 1)
    # The last start is the last multiple of 10 below 1000 - 33.
    assert inputs[96, 0, 0] == 960


def test_splits_of_the_real_traces(real_data):
    sizes = {split: half_cheetah.traces(split).shape for split in half_cheetah.SPLITS}
    assert sizes == {"train": (10, 1000, 17), "validation": (5, 1000, 17), "test": (10, 1000, 17)}
    raw = np.load(Path(os.environ["LNN_DATA_DIR"]) / "half_cheetah/trace_0005.npy")
    np.testing.assert_array_equal(half_cheetah.traces("test")[0], raw.astype("float32"))


def test_unknown_split():
    with pytest.raises(ValueError, match=r"split 'tset'; allowed: .*Did you mean 'test'"):
        half_cheetah.traces("tset")
