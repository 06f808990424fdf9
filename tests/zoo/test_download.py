"""Presets from a web server: real ones on loopback, slow, truncated and lying ones included."""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from lnn_keras import LiquidCell, LiquidRNN
from zoo.hub import download, store


class Server:
    """Serves a folder; faults change what it does to a request for a file name."""

    def __init__(self, folder):
        self.folder, self.faults, self.asked = folder, {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def requests_of(self, path):
        return [wanted for name, wanted in self.asked if name == path.name]

    def answer(self, request):
        path = self.folder / request.path.lstrip("/")
        wanted = request.headers.get("Range")
        self.asked.append((path.name, wanted))
        if not path.is_file():
            request.send_error(404)
            return
        content, fault = path.read_bytes(), self.faults.get(path.name)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        start = 0 if fault == "no ranges" else start
        request.send_response(206 if start else 200)
        body = content[start:]
        if fault == "lies":
            body, fault = bytes(len(body)), None
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if fault == "slow":
            for byte in range(0, len(body), 4096):
                request.wfile.write(body[byte : byte + 4096])
                time.sleep(0.02)
        elif fault == "always truncates" or (fault and len(self.requests_of(path)) == 1):
            request.wfile.write(body[: len(body) // 2])
        else:
            request.wfile.write(body)


@pytest.fixture
def model():
    layer = LiquidRNN(LiquidCell(4), return_sequences=True)
    return keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(2)])


@pytest.fixture
def server(model, tmp_path, monkeypatch):
    site = tmp_path / "site"
    zoo.save(model, site / "presets/mine", card="# mine")
    digest = store.sha256(site / "presets/mine/metadata.json")
    manifest = {"presets": {"mine": {"metadata.json": digest}}}
    (site / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("LNN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LNN_OFFLINE", raising=False)
    made = Server(site)
    monkeypatch.setenv("LNN_ZOO_URL", made.url)
    yield made
    made.http.shutdown()
    made.http.server_close()


def assert_same(model, loaded, random):
    x = random.standard_normal((2, 5, 3)).astype("float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))


def cached():
    return list(download.cache_folder().glob("*")) if download.cache_folder().exists() else []


def test_by_address_and_by_name(server, model, random):
    assert_same(model, zoo.load(f"{server.url}/presets/mine"), random)
    assert zoo.card("mine") == "# mine"
    asked = len(server.asked)
    # The host is asked for its list again, and for nothing else.
    assert_same(model, zoo.load("mine"), random)
    assert [name for name, _ in server.asked[asked:]] == ["manifest.json"]


def test_what_was_fetched_needs_no_network(server, model, random, monkeypatch):
    address = f"{server.url}/presets/mine"
    zoo.load(address)
    monkeypatch.setenv("LNN_OFFLINE", "1")
    server.http.shutdown()
    assert_same(model, zoo.load(address), random)
    with pytest.raises(zoo.DownloadError, match="LNN_OFFLINE forbids to ask"):
        zoo.load("mine")
    with pytest.raises(zoo.DownloadError, match=r"other is not in the cache .*LNN_OFFLINE"):
        zoo.load(f"{server.url}/presets/other")


@pytest.mark.parametrize("fault", ["slow", "truncates", "no ranges"])
def test_a_bad_line_is_overcome(fault, server, model, random):
    server.faults["model.weights.h5"] = fault
    assert_same(model, zoo.load("mine"), random)
    ranges = server.requests_of(server.folder / "model.weights.h5")
    assert (ranges[-1] is not None) == (fault != "slow")


@pytest.mark.parametrize(
    ("fault", "said"), [("always truncates", "broke off|bytes came"), ("lies", "sha256 is")]
)
@pytest.mark.parametrize("name", ["model.weights.h5", "metadata.json"])
def test_a_liar_is_found_out_and_nothing_remains(name, fault, said, server):
    server.faults[name] = fault
    with pytest.raises(zoo.DownloadError, match=rf"Cannot fetch .*{name}: .*({said})"):
        zoo.load("mine")
    assert cached() == []
    server.faults.clear()
    zoo.load("mine")


def test_a_liar_without_a_list_is_found_out_as_well(server):
    server.faults["metadata.json"] = "lies"
    with pytest.raises(zoo.DownloadError, match="no JSON"):
        zoo.load(f"{server.url}/presets/mine")


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "metadata.json", "a/b"])
def test_names_cannot_point_outside(name, server):
    path = server.folder / "presets/mine/metadata.json"
    recorded = json.loads(path.read_text())
    recorded["sha256"][name] = "0" * 64
    path.write_text(json.dumps(recorded))
    with pytest.raises(zoo.DownloadError, match="which is no file of a preset"):
        zoo.load(f"{server.url}/presets/mine")
    assert cached() == []


def test_several_processes_at_once(server, tmp_path):
    server.faults["model.weights.h5"] = "slow"
    program = "import zoo; print(zoo.load('mine').count_params())"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    assert len({process.communicate()[0] for process in processes}) == 1
    assert all(process.returncode == 0 for process in processes)
    assert len(cached()) == 1


def test_addresses(server, monkeypatch):
    with pytest.raises(ValueError, match=r"http://example.com/x is not encrypted"):
        zoo.load("http://example.com/x")
    with pytest.raises(ValueError, match="must be hf://user/repo"):
        zoo.load("hf://user")
    with pytest.raises(zoo.DownloadError, match="status 404"):
        zoo.load(f"{server.url}/presets/nobody")
    with pytest.raises(ValueError, match="has no preset 'your'; it has: mine"):
        zoo.load("your")
    monkeypatch.setenv("LNN_ZOO_URL", "http://127.0.0.1:9")
    with pytest.raises(
        zoo.DownloadError, match=r"Cannot fetch .*:9/manifest\.json: no server answers"
    ):
        zoo.load("mine")
    assert download._url_of("hf://user/repo@v1") == f"{download.HUB}/user/repo/resolve/v1"


def test_a_lambda_is_not_loaded(server):
    """What comes from elsewhere is data; Keras refuses code in it."""
    lambda_model = keras.Sequential([keras.Input((None, 3)), keras.layers.Lambda(lambda x: x)])
    zoo.save(lambda_model, server.folder / "presets/code")
    with pytest.raises((ValueError, TypeError), match=r"[Ll]ambda"):
        zoo.load(f"{server.url}/presets/code")


def test_a_published_folder_can_be_loaded(server, tmp_path, monkeypatch):
    folder = zoo.publish(tmp_path / "public", ("half-cheetah-micro",))
    monkeypatch.setattr(server, "folder", folder)
    loaded = zoo.load(f"{server.url}/presets/half-cheetah-micro")
    assert loaded.count_params() == zoo.load("half-cheetah-micro").count_params()
    listed = json.loads((folder / "manifest.json").read_text())["presets"]["half-cheetah-micro"]
    assert all((Path(folder) / path / "model.tflite").is_file() for path in listed["exports"])
