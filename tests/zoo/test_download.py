"""Presets from web servers on loopback, including slow, truncating and tampering ones."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import pytest
from preset_server import assert_same, cached, manifest_of

import zoo
from zoo import registry
from zoo.hub import download, model_config


def test_by_address_and_by_name(server, small_model, random):
    assert_same(small_model, zoo.load(f"{server.url}/presets/mine"), random)
    assert zoo.card("mine") == "# mine"
    before = len(server.requests)
    # Only the manifest is fetched again.
    assert_same(small_model, zoo.load("mine"), random)
    assert [name for name, _ in server.requests[before:]] == ["manifest.json"]


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
