"""`.keras` files from strangers: damaged archives, and damage inside of them."""

import functools
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from tests.stress.archive_damage import Files, damaged_archive, packed_files
from tests.stress.file_damage import damaged_files
from tests.stress.isolated import run_with_little_memory
from tests.stress.kinds import Kind, Result
from tests.stress.preset_files import small_model
from tests.stress.trials import damaged_bytes, unclear_error
from zoo.cli.predictions import predictions_of
from zoo.hub import store
from zoo.readers import archive

MEMBERS = ["metadata.json", "config.json", "model.weights.h5"]
DATA = {"observation": np.ones((1, 4, 3), "float32"), "elapsed": np.ones((1, 4), "float32")}


@functools.cache
def archive_files() -> Files:
    """The members of a small `.keras` file."""
    with tempfile.TemporaryDirectory() as parent:
        path = Path(parent) / "small.keras"
        small_model().save(path)
        return archive.members(path.read_bytes(), "small")


@st.composite
def damaged_keras_files(draw: st.DrawFn) -> bytes:
    """The bytes of a damaged `.keras` file."""
    files = archive_files()
    where = draw(st.sampled_from(["inside", "inside", "archive", "bytes"]))
    if where == "inside":
        return packed_files(draw(damaged_files(files, MEMBERS)))
    if where == "archive":
        return draw(damaged_archive(packed_files(files)))
    return draw(damaged_bytes(packed_files(files)))


def try_keras_file(content: bytes) -> str | None:
    """Write a damaged file and predict with it."""
    with tempfile.TemporaryDirectory() as parent:
        path = Path(parent) / "model.keras"
        path.write_bytes(content)
        return unclear_error(lambda: predictions_of(store.load(path), DATA, str(path)), str(path))


def run(count: int, seed: int) -> Result:
    """Try damaged files in a process with little memory."""
    archive_files()  # Keras draws random numbers, which a strategy must not do.
    return run_with_little_memory(damaged_keras_files(), try_keras_file, count, seed)


KINDS = (
    Kind(".keras mutations", 5_000, run, "loads and predicts, or one error that names the file"),
)
