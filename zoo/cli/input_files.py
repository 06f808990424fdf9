"""Files of a user's data: .npz and .npy arrays, and CSV tables for presets that name columns."""

from pathlib import Path

import numpy as np

from zoo import registry
from zoo.data import csv_table
from zoo.training.loop import Inputs

SUFFIXES = (".npz", ".npy", ".csv")


def read(path: Path, source: str) -> Inputs:
    """The inputs of a model in a file.

    Args:
        path: An .npz or .npy file of arrays, or a .csv file: one sequence, a row for each step.
        source: The model's name; only a preset knows the columns of a .csv file.

    Raises:
        ValueError: There is no such file, it cannot be read, or its columns are wrong; the
            message names them.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} must be an .npz, .npy or .csv file.")
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    return _table(path, source) if path.suffix == ".csv" else _arrays(path)


def content(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        ValueError: There is no such file.
    """
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    return path.read_bytes()


def _table(path, source):
    preset = registry.PRESETS.get(source)
    if preset is None or not preset.columns:
        named = [name for name, preset in registry.PRESETS.items() if preset.columns]
        raise ValueError(
            f"{path}: only presets name the columns of a CSV file: {', '.join(named)}. "
            "Give another model its arrays in an .npz or .npy file."
        )
    return preset.from_table(csv_table.read(path, preset.columns))


def _arrays(path):
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            arrays = dict(loaded)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as numbers: {error}") from error
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays
