"""`lnn export`, `verify` and `compare`, called as users call them."""

import json
import re
from dataclasses import replace

import keras
import numpy as np
import pytest
from command_line import lnn

import export
from export import comparison
from zoo.cli import export_arguments, exports
from zoo.hub import store

NAME = "half-cheetah-micro"
TO_C = ["export", NAME, "--target", "c"]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder with a model and data that int8 rounds too much: random walks."""
    folder = tmp_path_factory.mktemp("own")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((24, 5)), keras.layers.LSTM(6), keras.layers.Dense(1)], name="own"
    )
    model.save(folder / "own.keras")
    walks = np.random.default_rng(0).standard_normal((16, 24, 5)).cumsum(axis=1)
    np.save(folder / "x.npy", walks.astype("float32"))
    return folder


def test_names_are_those_of_the_library():
    """The command line has them too, since importing the library takes seconds."""
    targets = {target.name: target.recipes for target in export.TARGETS.values()}
    assert targets == export_arguments.RECIPES
    integers = [recipe.name for recipe in export.RECIPES.values() if recipe.is_integer]
    assert tuple(integers) == export_arguments.INTEGER_RECIPES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", NAME, "--steps", "0"], "`--steps` must be an integer of at least 2; received"),
        (["export", NAME, "--steps", "-5"], "`--steps` must be an integer of at least 2; received"),
        (["export", NAME, "--tolerance", "0"], "`--tolerance` must lie between 0 and 1"),
        (["export", NAME, "--tolerance", "nan"], "`--tolerance` must lie between 0 and 1"),
        (["export", NAME, "--metric-tolerance", "3"], "`--metric-tolerance` must lie between"),
        (["export", NAME, "--recipe", "int9"], "Unknown recipe 'int9'; allowed: dynamic, float16"),
        (["export", NAME, "--target", "micr"], "Unknown target 'micr'; allowed: c, micro, phone"),
        (
            ["export", NAME, "--recipe", "dynamic"],
            "Target 'micro' does not take recipe 'dynamic'; allowed: float32, int8, int16x8.",
        ),
        (
            [*TO_C, "--recipe", "int8"],
            "Target 'c' does not take recipe 'int8'; allowed: int16x8",
        ),
        ([*TO_C, "--layout", "make"], "Unknown layout 'make'; allowed: cmake, arduino, zephyr, es"),
        ([*TO_C, "--prefix", "a b"], "`prefix` must be a C identifier that is no keyword, such as"),
        ([*TO_C, "--prefix", "replay"], "`prefix` must not be 'replay', the name of another head"),
        ([*TO_C, "--adapt", "--recipe", "int16"], "Target 'c' takes `--adapt` with recipe 'float3"),
        (["export", NAME, "--layout", "cmake"], "`--layout` is for target 'c'; the target is 'mi"),
        (["export", NAME, "--prefix", "a"], "`--prefix` is for target 'c'; the target is 'micro'"),
        (["export", "empty.keras", "--target", "c"], "Recipe 'int16x8' needs typical sequences: g"),
        (["verify", ".", "--model", NAME], ". is a folder without model.json; name a .tflite file"),
        (["export", "half-cheeta"], "Unknown preset 'half-cheeta'"),
        (["export", "no.keras"], "There is no file no.keras"),
        (["export", NAME, "--calibration", "no.npz"], "There is no file no.npz"),
        (["export", "empty.keras"], "Recipe 'int8' needs typical sequences: give a file with --c"),
        (["verify", "no.tflite", "--model", NAME], "There is no file no.tflite"),
        (["verify", "empty.keras", "--model", NAME, "--steps", "1"], "`--steps` must be an integ"),
        (["verify", "empty.keras", "--model", NAME, "--target", "x"], "Unknown target 'x'"),
        (["compare", "half-cheeta"], "Unknown preset 'half-cheeta'"),
        (["compare", NAME, "--steps", "0"], "`--steps` must be an integer of at least 2"),
        (["compare", NAME, "--format", "xml"], "Unknown format 'xml'; allowed: json, markdown"),
        (["compare", NAME, "--out", "no/x.md"], "Cannot write no/x.md: there is no folder no."),
        (["compare", NAME, "--out", "."], "Cannot write .: a folder has that name."),
        (["compare", NAME, "--calibration", "x.xls"], "x.xls must be a file of arrays, .npz or"),
    ],
)
def test_arguments_are_checked_before_keras_loads(arguments, message, tmp_path, monkeypatch):
    (tmp_path / "empty.keras").touch()

    def load_keras():
        raise AssertionError("loads Keras")

    monkeypatch.setattr(exports, "load_keras", load_keras)
    result = lnn(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith(f"lnn: {message}")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.keras"]


EXPORT = ["export", "own.keras", "--calibration", "x.npy", "--out", "out", "--steps", "240"]


@pytest.fixture(scope="module")
def failed(own):
    return lnn(*EXPORT, cwd=own, COLUMNS="80"), {path.name for path in own.iterdir()}


def test_a_failed_export_says_what_to_do_and_where_the_report_is(failed):
    result, left = failed
    assert result.returncode == 1
    assert result.stderr == (
        "lnn: The int8 file of 'own' failed verification. The report is in out.failed.\n"
    )
    after = " ".join(result.stdout.split("verification FAILED")[1].split())
    assert "allowed: 5 %" in after and "- Use recipe 'int16x8': its outputs' error is" in after
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert left == {"own.keras", "x.npy", "out.failed"}


def test_the_tolerance_that_is_proposed_does(failed, own):
    """In the export, and in a later verification on the same data."""
    (proposed,) = re.findall(r"tolerance=([\d.]+\d)", failed[0].stdout)
    result = lnn(*EXPORT, "--tolerance", proposed, cwd=own)
    assert (result.returncode, result.stderr) == (0, "")
    assert "verification passed" in result.stdout
    assert (own / "out/model.tflite").is_file() and not (own / "out.failed").exists()
    verify = ["verify", "out/model.tflite", "--model", "own.keras", "--input", "x.npy"]
    refused, accepted = lnn(*verify, cwd=own), lnn(*verify, "--tolerance", proposed, cwd=own)
    assert (refused.returncode, accepted.returncode) == (1, 0)
    for result in (refused, accepted):
        assert "the given data" in result.stdout


def test_the_metric_tolerance_decides_with_true_outputs():
    """The samples of the preset have true outputs, and its int8 file loses some of the metric."""
    file = store.find(NAME) / "int8.tflite"
    arguments = ["verify", file, "--model", NAME, "--steps", "60", "--metric-tolerance"]
    assert lnn(*arguments, "0.1").returncode == 0
    result = lnn(*arguments, "0.000001")
    assert result.returncode == 1
    assert "the mean squared error is" in result.stdout and "allowed: 0.0001 %" in result.stdout


def test_export_passes_its_options_on(own, monkeypatch):
    received = {}

    def to_tflite(model, directory, **arguments):
        received.update(arguments, directory=str(directory))
        raise ValueError("enough")

    monkeypatch.setattr(export, "to_tflite", to_tflite, raising=False)
    options = ["--tolerance", "0.2", "--metric-tolerance", "0.3", "--steps", "7"]
    result = lnn(*EXPORT[:4], *options, "--target", "phone", "--recipe", "int16x8", cwd=own)
    assert result.stderr == "lnn: enough\n"
    expected = {
        "tolerance": 0.2,
        "metric_tolerance": 0.3,
        "steps": 7,
        "target": "phone",
        "recipe": "int16x8",
        "directory": "build/own-phone-int16x8",
    }
    assert {name: received[name] for name in expected} == expected


@pytest.fixture
def float_only(monkeypatch):
    micro = replace(export.TARGETS["micro"], recipes=("float32", "int8"))
    monkeypatch.setattr(comparison, "TARGETS", {"micro": micro})


def test_compare_prints_a_table(own, tmp_path, float_only):
    arguments = ["compare", own / "own.keras", "--steps", "48"]
    result = lnn(*arguments, cwd=tmp_path, COLUMNS="80")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "own: all recipes, up to 48 closed-loop steps"
    assert [line.split()[-1] for line in lines if line.startswith("micro ")][:2] == [
        "passed",
        "refused",
    ]
    assert list(tmp_path.iterdir()) == []


def test_compare_writes_the_format_that_is_asked_for(own, tmp_path, monkeypatch):
    table = comparison.Comparison(
        "own", 9, None, (comparison.ComparisonRow("micro", "int8", "passed", bytes=7),)
    )
    received = {}

    def compare(model, **arguments):
        received.update(arguments)
        return table

    monkeypatch.setattr(export, "compare", compare, raising=False)
    arguments = ["compare", own / "own.keras", "--calibration", own / "x.npy", "--steps", "9"]
    assert json.loads(lnn(*arguments, "--format", "json").stdout) == json.loads(table.json())
    assert received["steps"] == 9 and received["calibration"].shape == (16, 24, 5)
    assert lnn(*arguments, "--format", "markdown").stdout == table.markdown() + "\n"
    texts = {
        ("a.json",): table.json(),
        ("a.md",): table.markdown(),
        ("a.txt",): table.text(),
        ("b.json", "--format", "markdown"): table.markdown(),
    }
    for out, text in texts.items():
        result = lnn(*arguments, "--out", *out, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (0, ""), result.stderr
        assert (tmp_path / out[0]).read_text("utf-8") == text + "\n"


@pytest.fixture(scope="module")
def in_c(tmp_path_factory):
    """The preset as C, and what the command printed."""
    folder = tmp_path_factory.mktemp("c")
    arguments = ["--prefix", "cheetah", "--layout", "arduino", "--steps", "60", "--out", "device"]
    return lnn(*TO_C, *arguments, cwd=folder), folder


def test_c_source_is_exported(in_c):
    result, folder = in_c
    assert (result.returncode, result.stderr) == (0, "")
    assert "int16x8 for c, 60 closed-loop steps" in result.stdout
    assert "operations" not in result.stdout and "source " in result.stdout
    assert (folder / "device/src/cheetah.c").is_file()
    listed = [line.split() for line in result.stdout.splitlines() if " device" in line]
    assert ["src/", "device/src"] in listed and ["README.md", "device/README.md"] in listed
    assert len(listed) == 7


@pytest.mark.parametrize("path", ["device", "device/src/cheetah.h"])
def test_c_source_is_verified_again(in_c, path):
    result = lnn("verify", path, "--model", NAME, "--steps", "60", "--json", cwd=in_c[1])
    report = json.loads(result.stdout)
    assert report["passed"] and (report["target"], report["recipe"]) == ("c", "int16x8")
