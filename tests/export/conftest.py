"""Signals, trainable models and exports that several test files share, made once per session."""

import functools
import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import pytest
from export_models import compiled, convolutional, normalized, reset_names_and_seeds, sines

import export


@pytest.fixture(scope="session")
def signal():
    """Three features of one scale."""
    return sines(3, 40, 3, noise=0.1)


@pytest.fixture(scope="session")
def mixed_units(signal):
    """The signal with features of very different scale and offset."""
    return (signal * [1, 100, 0.01] + [0, 100, 0]).astype("float32")


@pytest.fixture(scope="session")
def waves():
    """Many short sequences of four features, for training."""
    return sines(32, 13, 4)


@dataclass(frozen=True)
class Exported:
    """A model and its verified export."""

    model: keras.Model
    report: export.Report
    folder: Path

    @property
    def content(self):
        return (self.folder / "model.tflite").read_bytes()


@pytest.fixture(scope="session")
def exported(tmp_path_factory, mixed_units):
    """A function from an entry of `RECURRENT` and a recipe to an export for the target "micro".

    Each is converted and verified once; tests must not write into its folder.
    """

    @functools.cache
    def export_once(name, recipe="int8"):
        reset_names_and_seeds()
        model = normalized(name, mixed_units)
        folder = tmp_path_factory.mktemp("exported") / "out"
        report = export.to_tflite(model, folder, recipe=recipe, calibration=mixed_units)
        return Exported(model, report, folder)

    return export_once


@pytest.fixture(scope="session")
def trainable():
    """A function from a layer's name to a compiled `convolutional` model with its initial weights.

    The training step of each model is traced once; weights and optimizer are reset by each call.
    """

    @functools.cache
    def build(name):
        reset_names_and_seeds()
        model = compiled(convolutional(name))
        variables = [*model.variables, *model.optimizer.variables]
        return model, [(variable, variable.numpy()) for variable in variables]

    def reset(name):
        model, initial = build(name)
        for variable, value in initial:
            variable.assign(value)
        return model

    return reset


@pytest.fixture(scope="session")
def c_exports(tmp_path_factory):
    """A folder with integers, and one with floats and elapsed time, as `to_c` writes them."""
    from c_projects import MODELS, data

    root = tmp_path_factory.mktemp("projects")
    made = {}
    for name, recipe in (("gru", "int16x8"), ("cfc-elapsed", "float32")):
        reset_names_and_seeds()
        model = MODELS[name]()
        made[recipe] = root / recipe
        prefix = None if recipe == "int16x8" else "timed"
        export.to_c(
            model, root / recipe, recipe=recipe, calibration=data(model), steps=40, prefix=prefix
        )
    return made


@pytest.fixture
def c_export(c_exports, tmp_path):
    """A copy of the folder with integers, to build in."""
    return shutil.copytree(c_exports["int16x8"], tmp_path / "folder")
