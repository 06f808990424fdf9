"""Preset folders from strangers: damaged metadata, configs, weights, samples and cards."""

import functools
import tempfile
from pathlib import Path

import keras
import numpy as np
from hypothesis import strategies as st

import zoo
from lnn_keras import LiquidCell, LiquidRNN
from tests.stress.archive_damage import Files
from tests.stress.file_damage import damaged_files, write_folder
from tests.stress.isolated import run_with_little_memory
from tests.stress.kinds import Kind, Result
from tests.stress.trials import unclear_error
from zoo.cli.predictions import predictions_of
from zoo.hub import store

TARGETS = ["metadata.json", "config.json", "config.json", "model.weights.h5", "samples.npz"]


def small_model() -> keras.Model:
    """A model with some of everything that presets have."""
    inputs = keras.Input((None, 3), name="observation")
    elapsed = keras.Input((None,), name="elapsed")
    x = keras.layers.Normalization(name="normalize")(inputs)
    x = keras.layers.Dropout(0.1)(keras.ops.concatenate([x, x * 0.5], -1))
    x = LiquidRNN(LiquidCell(3, unfolds=2), return_sequences=True, name="liquid")(
        x, elapsed=keras.layers.Rescaling(0.1)(elapsed)
    )
    x = keras.layers.Dense(2, "relu", kernel_regularizer="l2", name="readout")(x)
    return keras.Model([inputs, elapsed], x, name="small")


@functools.cache
def preset_files() -> Files:
    """The files of a small preset."""
    random = np.random.default_rng(0)
    data = {
        "observation": random.standard_normal((1, 4, 3)).astype("float32"),
        "elapsed": np.ones((1, 4), "float32"),
    }
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "small"
        zoo.save(
            small_model(),
            folder,
            card="# Small\n\nA card.\n",
            samples={"calibration": data, "inputs": data},
        )
        return {path.name: path.read_bytes() for path in folder.iterdir()}


def use_preset(folder: Path) -> None:
    """Read all of a preset, and predict, as the command line does."""
    store.metadata(folder)
    if any(ord(c) < 32 and c not in "\n\t" for c in store.card(folder)):
        raise AssertionError("the card holds control characters")
    samples = store.samples(folder)
    model = store.load(folder)
    if "inputs" in samples:
        predictions_of(model, samples["inputs"], str(folder))


@st.composite
def damaged_presets(draw: st.DrawFn) -> tuple[Files, bool]:
    """Files of a preset, and whether its metadata have their digests."""
    files = draw(damaged_files(preset_files(), [*TARGETS, "card.md"]))
    edit = draw(st.sampled_from([""] * 20 + ["extra", "missing"]))
    name = draw(st.sampled_from(sorted(files)))
    if edit == "extra":
        files = {**files, draw(st.sampled_from([".hidden", "x.py", "assets"])): b"x"}
    elif edit == "missing":
        files = {other: content for other, content in files.items() if other != name}
    return files, draw(st.integers(0, 9)) > 0


def try_preset(example: tuple[Files, bool]) -> str | None:
    """Write a damaged preset and use it."""
    files, recomputed = example
    with tempfile.TemporaryDirectory(prefix="preset-") as parent:
        folder = Path(parent)
        write_folder(folder, files, recomputed)
        return unclear_error(lambda: use_preset(folder), str(folder))


def run(count: int, seed: int) -> Result:
    """Try damaged presets in a process with little memory."""
    preset_files()  # Keras draws random numbers, which a strategy must not do.
    return run_with_little_memory(damaged_presets(), try_preset, count, seed)


KINDS = (
    Kind("preset mutations", 10_000, run, "loads and predicts, or one error that names the file"),
)
