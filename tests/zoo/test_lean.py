"""zoo without Keras where no model is needed, and without TensorFlow on JAX."""

import os
import subprocess
import sys

import pytest

import lnn_keras.argument_checks
import zoo
import zoo.argument_checks

BLOCK = """
import importlib.abc
import sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.partition(".")[0])

sys.meta_path.insert(0, Blocked())
"""
EXPORT = (
    "tensorflow",
    "tensorflow_model_optimization",
    "ai_edge_litert",
    "flatbuffers",
    "tflite_micro",
)
TOOLS = ("typer", "platformdirs", "requests", "sklearn", "joblib", "matplotlib")


def run_without(packages, program, **environment):
    """Run a program in a process in which packages cannot be imported."""
    result = subprocess.run(
        [sys.executable, "-c", BLOCK.format(packages=packages) + program],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_preset_predicts_on_jax_without_extras():
    pytest.importorskip("jax")
    program = """
import numpy as np
import zoo

model, samples = zoo.load("half-cheetah-micro"), zoo.samples("half-cheetah-micro")
predicted = model.predict(samples["inputs"][None], verbose=0)[0]
bar = zoo.PRESETS["half-cheetah-micro"].bars[0]
assert np.mean((predicted - samples["targets"]) ** 2) < bar.value
assert "export" not in sys.modules
try:
    zoo.load("https://example.com/preset")
except ImportError as error:
    print(error)
"""
    output = run_without((*EXPORT, *TOOLS), program, KERAS_BACKEND="jax")
    assert output.strip() == (
        "The package 'platformdirs' is not installed. "
        "Install the extra: pip install 'lnn-keras[zoo]'."
    )


@pytest.mark.slow
def test_all_presets_load_on_jax_without_extras():
    pytest.importorskip("jax")
    program = "import zoo; print(*[zoo.load(name).count_params() for name in zoo.PRESETS])"
    output = run_without((*EXPORT, *TOOLS), program, KERAS_BACKEND="jax")
    assert output.split() == [str(zoo.metadata(name)["parameters"]) for name in zoo.PRESETS]


def test_commands_without_a_model_do_not_import_keras(tmp_path):
    program = """
from zoo.cli.main import main

COMMANDS = ["demo", "predict", "evaluate", "export", "verify", "train", "sweep", "presets", "info"]
COMMANDS = [[name, "--help"] for name in [*COMMANDS, "release", "publish", "data"]]
COMMANDS += [["--version"], ["--help"], ["presets"], ["info", "half-cheetah"]]
COMMANDS += [["data", "get", "--help"], ["data", "check", "--help"]]
for command in COMMANDS:
    sys.argv = ["lnn", *command]
    try:
        main()
    except SystemExit as stopped:
        assert not stopped.code, (command, stopped.code)
sys.argv = ["lnn", "info", "half-cheeta"]
try:
    main()
except SystemExit as stopped:
    assert stopped.code == 2
"""
    assert "lnn-keras 0.1.0" in run_without(("keras", "lnn_keras", "export", "tensorflow"), program)


def test_the_command_line_says_what_to_install():
    program = """
from zoo.cli.main import main

sys.stderr = sys.stdout
try:
    main()
except SystemExit as stopped:
    assert stopped.code == 2
"""
    assert run_without(("typer",), program).strip() == (
        "lnn: The package 'typer' is not installed. "
        "Install the extra: pip install 'lnn-keras[zoo]'."
    )


def test_dir_shows_the_public_names():
    assert dir(zoo) == sorted(zoo.__all__)
    assert {"load", "save", "PRESETS"} <= set(dir(zoo))


def test_choices_are_checked_as_in_lnn_keras():
    for name in ("tset", "else"):
        messages = []
        for checks in (zoo.argument_checks, lnn_keras.argument_checks):
            with pytest.raises(ValueError, match="Unknown split") as raised:
                checks.require_choice("split", name, ("train", "test"))
            messages.append(str(raised.value))
        assert messages[0] == messages[1]
