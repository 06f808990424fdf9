"""Presets from web servers on loopback, including slow, truncating and tampering ones."""

import json
import os
import shutil
import threading
import time
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from zoo import registry
from zoo.hub import download, model_config
from zoo.local_files import sha256


class Server:
    """Serves a folder; `faults` maps file names to the way in which a response goes wrong."""

    def __init__(self, folder):
        self.folder, self.faults, self.requests = folder, {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        # Polls for the end of the test.
        serve = partial(self.http.serve_forever, poll_interval=0.01)
        threading.Thread(target=serve, daemon=True).start()

    def ranges_of(self, path):
        """The Range headers of the requests for a file."""
        return [wanted for name, wanted in self.requests if name == path.name]

    def answer(self, request):
        path = self.folder / request.path.lstrip("/")
        wanted = request.headers.get("Range")
        self.requests.append((path.name, wanted))
        if not path.is_file():
            request.send_error(404)
            return
        content, fault = path.read_bytes(), self.faults.get(path.name)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        start = 0 if fault == "no ranges" else start
        request.send_response(206 if start else 200)
        if start:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            request.send_header("Content-Range", span)
        body = content[start:]
        if fault == "tampers":
            body, fault = bytes(len(body)), None
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if fault == "slow":
            for byte in range(0, len(body), 4096):
                request.wfile.write(body[byte : byte + 4096])
                time.sleep(0.02)
        elif fault == "always truncates" or (fault and len(self.ranges_of(path)) == 1):
            request.wfile.write(body[: len(body) // 2])
        else:
            request.wfile.write(body)


@pytest.fixture
def server(small_model, tmp_path, monkeypatch):
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


def assert_same(model, loaded, random):
    x = random.standard_normal((2, 5, 3)).astype("float32")
    np.testing.assert_array_equal(model(x), loaded(x))


def cached():
    """The presets in the cache, without the parts of interrupted downloads."""
    return [path for path in download.cache_folder().glob("*") if path.name[0] != "."]


def test_by_address_and_by_name(server, small_model, random):
    assert_same(small_model, zoo.load(f"{server.url}/presets/mine"), random)
    assert zoo.card("mine") == "# mine"
    before = len(server.requests)
    # Only the manifest is fetched again.
    assert_same(small_model, zoo.load("mine"), random)
    assert [name for name, _ in server.requests[before:]] == ["manifest.json"]


def test_cached_presets_need_no_network(server, small_model, random, monkeypatch):
    address = f"{server.url}/presets/mine"
    zoo.load(address)
    monkeypatch.setenv("LNN_OFFLINE", "1")
    server.http.shutdown()
    assert_same(small_model, zoo.load(address), random)
    with pytest.raises(zoo.DownloadError, match="LNN_OFFLINE forbids to ask"):
        zoo.load("mine")
    with pytest.raises(zoo.DownloadError, match=r"other is not in the cache .*LNN_OFFLINE"):
        zoo.load(f"{server.url}/presets/other")


@pytest.mark.parametrize("fault", ["slow", "truncates", "no ranges"])
def test_bad_connections_are_retried(fault, server, small_model, random):
    server.faults["model.weights.h5"] = fault
    assert_same(small_model, zoo.load("mine"), random)
    ranges = server.ranges_of(server.folder / "model.weights.h5")
    assert (ranges[-1] is not None) == (fault != "slow")


@pytest.mark.parametrize(
    ("fault", "message"), [("always truncates", "broke off|bytes came"), ("tampers", "sha256 is")]
)
@pytest.mark.parametrize("name", ["model.weights.h5", "metadata.json"])
def test_wrong_content_is_refused_and_not_cached(name, fault, message, server):
    server.faults[name] = fault
    with pytest.raises(zoo.DownloadError, match=rf"Cannot fetch .*{name}: .*({message})"):
        zoo.load("mine")
    assert cached() == []
    server.faults.clear()
    zoo.load("mine")


def test_wrong_metadata_is_refused_without_a_manifest(server):
    server.faults["metadata.json"] = "tampers"
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


def test_several_processes_at_once(server, small_model, random, jax_processes):
    server.faults["model.weights.h5"] = "slow"
    environment = {name: os.environ[name] for name in ("LNN_HOME", "LNN_ZOO_URL")}
    processes = [jax_processes.start(zoo.load, "mine", **environment) for _ in range(2)]
    for process in processes:
        process.wait()
    assert len(cached()) == 1
    assert_same(small_model, zoo.load("mine"), random)


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


def test_hugging_face_address(server, small_model, random, monkeypatch):
    monkeypatch.setattr(download, "HUB", server.url)
    shutil.copytree(server.folder / "presets/mine", server.folder / "user/repo/resolve/v1")
    assert_same(small_model, zoo.load("hf://user/repo@v1"), random)


def test_a_lambda_is_not_loaded(server, monkeypatch):
    """Code in a downloaded preset is refused before Keras sees it."""
    lambda_model = keras.Sequential([keras.Input((None, 3)), keras.layers.Lambda(lambda x: x)])
    with monkeypatch.context() as unchecked:
        unchecked.setattr(model_config, "checked", lambda config, *others: config)
        zoo.save(lambda_model, server.folder / "presets/code")
    with pytest.raises(ValueError, match=r"class 'keras\.layers\.Lambda' is not allowed"):
        zoo.load(f"{server.url}/presets/code")


@pytest.mark.parametrize(
    "recipes", [("float32",), pytest.param(None, marks=pytest.mark.slow)], ids=["one", "all"]
)
def test_a_published_folder_can_be_loaded(recipes, server, tmp_path, monkeypatch):
    name = "half-cheetah-micro"
    preset = registry.get(name)
    recipes = recipes or preset.export_recipes
    monkeypatch.setitem(registry.PRESETS, name, replace(preset, export_recipes=recipes))
    folder = zoo.publish(tmp_path / "public", (name,))
    monkeypatch.setattr(server, "folder", folder)
    loaded = zoo.load(f"{server.url}/presets/{name}")
    assert loaded.count_params() == zoo.load(name).count_params()
    exports = json.loads((folder / "manifest.json").read_text())["presets"][name]["exports"]
    assert exports == [f"exports/{name}/micro-{recipe}" for recipe in recipes]
    assert all((Path(folder) / path / "model.tflite").is_file() for path in exports)


def manifest_of(server, **changes):
    """Write the manifest of the preset with its sizes."""
    folder = server.folder / "presets/mine"
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    entry = {"metadata.json": sha256(folder / "metadata.json"), "files": sizes, **changes}
    (server.folder / "manifest.json").write_text(json.dumps({"presets": {"mine": entry}}))
    return entry


def test_a_preset_published_anew_is_fetched_anew(server, small_model, random):
    old = download.folder_named("mine")
    small_model.layers[-1].bias.assign([1.0, 2.0])
    zoo.save(small_model, server.folder / "presets/mine", card="# new")
    manifest_of(server)
    assert_same(small_model, zoo.load("mine"), random)
    assert zoo.card("mine") == "# new"
    # Another process may still read the old one.
    assert old.is_dir() and old != download.folder_named("mine")


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("name", ["metadata.json", "model.weights.h5", "card.md", "extra"])
def test_a_damaged_copy_is_downloaded_again_once(name, by_name, server, small_model, random):
    def load():
        if by_name:
            return download.folder_named("mine")
        return download.folder_at(f"{server.url}/presets/mine")

    (load() / name).write_text("damaged")
    before = len(server.requests)
    folder = load()
    assert_same(small_model, zoo.load(folder), random)
    fetched = [path for path, _ in server.requests[before:] if path != "manifest.json"]
    assert len(fetched) == len(set(fetched)) == 4
    load()
    assert len(server.requests) <= before + 4 + 2 * by_name
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_damaged_copy_is_kept_where_nothing_can_be_downloaded(server, monkeypatch):
    address = f"{server.url}/presets/mine"
    folder = download.folder_at(address)
    (folder / "card.md").write_text("damaged")
    monkeypatch.setenv("LNN_OFFLINE", "1")
    with pytest.raises(zoo.DownloadError, match=r"is damaged in the cache .*LNN_OFFLINE forbids"):
        zoo.load(address)
    assert folder.is_dir()


def test_a_killed_download_of_a_preset_resumes(server, small_model, random):
    """The parts that a killed process left, of this publication and of an earlier one."""
    folder = download.folder_named("mine")
    work = folder.with_name(f".{folder.name}.download")
    folder.rename(work)
    earlier = folder.with_name(f".{folder.name[:-16]}{'0' * 16}.download")
    earlier.mkdir()
    weights = work / "model.weights.h5"
    content = weights.read_bytes()
    (work / f".model.weights.h5.{sha256(weights)[:16]}.part").write_bytes(content[:5000])
    weights.unlink()
    before = len(server.requests)
    assert_same(small_model, zoo.load("mine"), random)
    assert server.requests[before:] == [("manifest.json", None), (weights.name, "bytes=5000-")]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metadata.json": None}, "states no sha256 of metadata.json"),
        ({"metadata.json": "A" * 64}, "states no sha256 of metadata.json"),
        ({"files": []}, "states sizes that are no numbers of bytes"),
        ({"files": {"metadata.json": -1}}, "states sizes that are no numbers of bytes"),
        ({"files": {"metadata.json": True}}, "states sizes that are no numbers of bytes"),
        ({"files": {"card.md": 5}}, "must state the size of metadata.json"),
        ({"files": {"metadata.json": 1}}, "announces .* bytes, not 1"),
        ({"files": {"metadata.json": 1, "../x": 1}}, "names '../x', which is no file"),
        ({"files": {str(number): 1 for number in range(17)}}, "has at most 16"),
        ({"files": {"metadata.json": 1 << 30, "card.md": 1}}, "at most 1024 MiB in all"),
    ],
)
def test_bad_entries_of_a_manifest(changes, message, server):
    manifest_of(server, **changes)
    with pytest.raises(zoo.DownloadError, match=message) as failure:
        zoo.load("mine")
    assert server.url in str(failure.value) and cached() == []


def test_no_more_than_the_stated_files_and_bytes(server):
    sizes = manifest_of(server)["files"]
    manifest_of(server, files={**sizes, "card.md": sizes["card.md"] - 1})
    with pytest.raises(zoo.DownloadError, match=r"card\.md: the server announces 6 bytes, not 5"):
        zoo.load("mine")
    del sizes["card.md"]
    manifest_of(server, files=sizes)
    with pytest.raises(zoo.DownloadError, match="lists other files than the manifest"):
        zoo.load("mine")
    assert cached() == []


def test_a_hostile_list_of_presets_is_shown_in_one_line(server):
    names = {f"\x1b[31m{number}\n": {} for number in range(1000)}
    (server.folder / "manifest.json").write_text(json.dumps({"presets": names}))
    with pytest.raises(ValueError, match="has no preset 'mine'; it has: ") as failure:
        zoo.load("mine")
    assert str(failure.value).isprintable() and len(str(failure.value)) < 1000


@pytest.mark.parametrize("home", ["file", "file/below", "x" * 300, "/proc/self"])
def test_a_home_that_cannot_be_written(home, server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("LNN_HOME", str(tmp_path / home))
    with pytest.raises(zoo.DownloadError, match=r"^Cannot write http.* to .*: .*; LNN_HOME names"):
        zoo.load("mine")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_home_with_an_odd_name(server, small_model, random, tmp_path, monkeypatch):
    monkeypatch.setenv("LNN_HOME", str(tmp_path / "with spaces, ünïcode 液, [brackets]*?"))
    for _ in range(2):
        assert_same(small_model, zoo.load("mine"), random)
    assert len(cached()) == 1


def test_a_file_in_the_place_of_the_local_copy(server):
    address = f"{server.url}/presets/mine"
    folder = download.folder_at(address)
    shutil.rmtree(folder)
    folder.write_text("a file")
    assert download.folder_at(address) == folder and folder.is_dir()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_kill_after_the_replacement_leaves_nothing(server):
    """The replaced folder keeps the hidden name until it is deleted."""
    folder = download.folder_named("mine")
    work = folder.with_name(f".{folder.name}.download")
    work.mkdir()
    (work / "config.json").write_bytes(b"damaged")
    assert download.folder_named("mine") == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
