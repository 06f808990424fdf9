"""Preset folders from strangers: bad weights, sizes, files and metadata are refused."""

import json
import os
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import zoo
from zoo.hub import model_file, verified_folder
from zoo.local_files import sha256
from zoo.readers.files import FileError


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the preset folder, to damage."""
    for path in (saved / "folder").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def record_digests(folder):
    """Let the metadata of a folder list its files, as an attacker would."""
    path = folder / "metadata.json"
    recorded = json.loads(path.read_text())
    names = [other.name for other in folder.iterdir() if other != path]
    recorded["sha256"] = {name: sha256(folder / name) for name in names}
    path.write_text(json.dumps(recorded))


@pytest.mark.parametrize(
    ("attack", "match"),
    [
        (lambda file, name: file.update({name: h5py.ExternalLink("/etc/passwd", "x")}), "link"),
        (lambda file, name: file.update({name: h5py.SoftLink("/layers")}), "link"),
        (lambda file, name: file.update({name: np.full(2, np.nan)}), r"2 values of .* are NaN"),
        (lambda file, name: file.update({name: np.full(2, 1e300)}), r"2 values of .* infinite"),
        (lambda file, name: file.update({name: np.ones(3)}), "does not fit config.json"),
        (lambda file, name: None, "does not fit config.json"),
    ],
)
def test_weights(folder, attack, match):
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        del file["layers/dense/vars/1"]
        attack(file, "layers/dense/vars/1")
    record_digests(folder)
    with pytest.raises(FileError, match=f"model.weights.h5.*{match}"):
        zoo.load(folder)


def test_sizes_that_the_weights_do_not_have_allocate_nothing(folder, config):
    """Each number fits alone; the product of both does not."""
    layers = config["config"]["layers"]
    size = 10_000
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        file["layers/extra/vars/0"] = np.zeros(size, "float32")
    wide = {"module": "keras.layers", "class_name": "Dense", "registered_name": None}
    config["config"]["layers"] = [
        layers[0],
        {**wide, "config": {"units": size, "name": "a"}},
        {**wide, "config": {"units": size, "name": "b"}},
    ]
    config.pop("build_config", None)
    (folder / "config.json").write_text(json.dumps(config))
    record_digests(folder)
    with pytest.raises(FileError, match=r"describes 100,050,000 weights, but model.weights.h5"):
        zoo.load(folder)


def test_huge_tensors_between_layers(folder, config):
    repeated = {"module": "keras.layers", "class_name": "UpSampling1D", "registered_name": None}
    layers = config["config"]["layers"]
    layers[0]["config"]["batch_shape"] = [None, 1_000, 3]
    layers += [{**repeated, "config": {"size": 900_000, "name": "up"}}]
    config.pop("build_config", None)
    (folder / "config.json").write_text(json.dumps(config))
    record_digests(folder)
    with pytest.raises(FileError, match="layer 'up' returns a tensor of shape"):
        zoo.load(folder)


class TestFolder:
    def refused(self, folder, match):
        with pytest.raises(zoo.CorruptPresetError, match=match) as caught:
            zoo.load(folder)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["x.py", ".hidden", "assets"])
    def test_files_that_are_not_listed(self, folder, name):
        (folder / name).mkdir() if name == "assets" else (folder / name).touch()
        self.refused(folder, f"holds '{name}', which metadata.json does not list")

    def test_links_pipes_and_folders_in_the_place_of_files(self, folder):
        card = folder / "card.md"
        card.rename(folder.parent / "outside.md")
        card.symlink_to(folder.parent / "outside.md")
        self.refused(folder, "card.md is a link")
        card.unlink()
        os.mkfifo(card)
        self.refused(folder, "card.md is no regular file")
        card.unlink()
        card.mkdir()
        self.refused(folder, "card.md is a folder")

    @pytest.mark.parametrize(
        "change", [str.upper, lambda d: d[:-1], lambda d: d + "\n", lambda d: 7]
    )
    def test_digests_have_64_lower_case_digits(self, folder, change):
        path = folder / "metadata.json"
        recorded = json.loads(path.read_text())
        recorded["sha256"]["card.md"] = change(recorded["sha256"]["card.md"])
        path.write_text(json.dumps(recorded))
        self.refused(folder, r"sha256 of card.md must be 64 digits")

    @pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "", ".", "..", "a\\b", "\x1b"])
    def test_names_of_files(self, folder, name):
        path = folder / "metadata.json"
        recorded = json.loads(path.read_text())
        recorded["sha256"][name] = "0" * 64
        path.write_text(json.dumps(recorded))
        self.refused(folder, "which is no file of a preset")

    def test_many_files(self, folder):
        path = folder / "metadata.json"
        recorded = json.loads(path.read_text())
        recorded["sha256"] |= {f"x{n}": "0" * 64 for n in range(verified_folder.MAX_FILES)}
        path.write_text(json.dumps(recorded))
        self.refused(folder, "the limit is 16")

    @pytest.mark.parametrize("text", ["[]", "{", '{"sha256": []}', "[" * 10_000, "\x00", ""])
    def test_damaged_metadata(self, folder, text):
        (folder / "metadata.json").write_text(text)
        self.refused(folder, "metadata.json")

    def test_text_that_is_shown_controls_no_terminal(self, folder):
        (folder / "card.md").write_text("# \x1b[2JTitle\u202e\n\ttext\x9b")
        path = folder / "metadata.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "license": "M\x1bIT"}))
        record_digests(folder)
        assert zoo.card(folder) == "# [2JTitle\n\ttext"
        assert zoo.metadata(folder)["license"] == "MIT"


@pytest.mark.parametrize("name", zoo.PRESETS)
def test_bundled_metadata_are_pinned(name):
    folder = Path(zoo.__file__).parent / zoo.PRESETS[name].domain / name
    assert sha256(folder / "metadata.json") == zoo.PRESETS[name].metadata_sha256


def test_a_check_of_sizes_leaves_nothing_behind(saved):
    before = keras.config.floatx(), keras.config.dtype_policy().name
    model_file.load_folder(saved / "folder")
    assert before == (keras.config.floatx(), keras.config.dtype_policy().name)
