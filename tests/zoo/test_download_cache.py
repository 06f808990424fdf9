"""Local copies of downloaded presets: offline, damaged, interrupted, and shared by processes."""

import os
import shutil

import pytest
from preset_server import assert_same, cached, manifest_of

import zoo
from zoo.hub import download
from zoo.local_files import sha256


def test_cached_presets_need_no_network(server, small_model, random, monkeypatch):
    address = f"{server.url}/presets/mine"
    zoo.load(address)
    monkeypatch.setenv("LNN_OFFLINE", "1")
    server.http.shutdown()
    assert_same(small_model, zoo.load(address), random)
    with pytest.raises(zoo.DownloadError, match="LNN_OFFLINE is set and forbids"):
        zoo.load("mine")
    with pytest.raises(zoo.DownloadError, match=r"other is not in the cache .*LNN_OFFLINE"):
        zoo.load(f"{server.url}/presets/other")


def test_several_processes_at_once(server, small_model, random, jax_processes):
    server.faults["model.weights.h5"] = "slow"
    environment = {name: os.environ[name] for name in ("LNN_HOME", "LNN_ZOO_URL")}
    processes = [jax_processes.start(zoo.load, "mine", **environment) for _ in range(2)]
    for process in processes:
        process.wait()
    assert len(cached()) == 1
    assert_same(small_model, zoo.load("mine"), random)


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
    with pytest.raises(zoo.DownloadError, match=r"is damaged in the cache .*LNN_OFFLINE is set"):
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
