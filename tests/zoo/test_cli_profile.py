"""`lnn profile`, called as users call it."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import lnn

import export
from export.c import boards
from zoo.cli import profile as command

FOLDER = Path(__file__).parents[1] / "export/c_folder"
NAME = "half-cheetah-micro"

pytestmark = pytest.mark.skipif(
    bool(boards.get("m4").missing()), reason=boards.get("m4").missing() or "installed"
)


def test_a_folder_is_profiled():
    result = lnn("profile", FOLDER, "--board", "m4", "--clock", "64")
    assert (result.returncode, result.stderr) == (0, "")
    for piece in ("tiny on m4 (Arm Cortex-M4F", "instructions per step", "equal", "64 MHz at 1.3"):
        assert piece in result.stdout


def test_json_and_optimization_for_size():
    fast, small = (
        json.loads(lnn("profile", FOLDER, "--json", "--optimize", flag).stdout)
        for flag in ("O2", "Os")
    )
    assert small["flash_bytes"] < fast["flash_bytes"]
    assert small["hash_equal"] and fast["hash_equal"]
    assert (small["optimize"], small["board"]) == ("Os", "m4")


def test_other_bits_are_a_failure(tmp_path):
    folder = tmp_path / "changed"
    shutil.copytree(FOLDER, folder)
    text = (folder / "tiny.c").read_text()
    (folder / "tiny.c").write_text(text.replace("{90, -41", "{91, -41"))
    result = lnn("profile", folder)
    assert result.returncode == 1
    assert "DIFFERENT" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([FOLDER, "--board", "m5"], "Unknown board 'm5'; allowed: host, m0plus, m4, m4-plain, m55"),
        ([FOLDER, "--recipe", "int16"], "holds C code already, so `--recipe` does not apply; lea"),
        ([FOLDER, "--calibration", "x.npy"], "so `--calibration` does not apply; leave it out"),
        ([FOLDER, "--optimize", "O3"], "Unknown optimize 'O3'; allowed: O2, Os."),
        ([FOLDER, "--clock", "0"], "`clock` must be a finite number above 0; received 0.0."),
        ([FOLDER, "--flash", "100"], "bytes of flash on board 'm4' at -O2; the limit is 100."),
        ([NAME, "--recipe", "int8"], "Unknown recipe 'int8'; allowed: float32, int16, int16x8."),
        (["half-cheeta"], "Unknown preset 'half-cheeta'"),
        (["no.keras"], "There is no file no.keras"),
        (["empty.keras"], "Recipe 'int16x8' needs typical sequences: give a file with --calibr"),
    ],
)
def test_wrong_arguments_are_refused_before_keras_loads(arguments, message, tmp_path, monkeypatch):
    (tmp_path / "empty.keras").touch()

    def load_keras():
        raise AssertionError("loads Keras")

    monkeypatch.setattr(command, "load_keras", load_keras)
    result = lnn("profile", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("lnn: ") and message in line


def test_a_preset_is_exported_first(monkeypatch):
    """With its calibration data; here the export writes the folder of the tests."""
    calls = []

    def to_c(model, folder, *, recipe, calibration):
        calls.append((model.name, recipe, calibration is not None))
        shutil.copytree(FOLDER, folder, dirs_exist_ok=True)

    monkeypatch.setitem(export.__dict__, "to_c", to_c)
    result = lnn("profile", NAME, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["model"] == "tiny"
    result = lnn("profile", NAME, "--recipe", "float32", "--json")
    assert [call[1:] for call in calls] == [("int16x8", True), ("float32", False)]
