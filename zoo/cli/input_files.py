"""Input files of the user: .npz and .npy arrays, and CSV tables for presets with columns."""

from pathlib import Path

import numpy as np

from zoo import registry
from zoo.data import csv_table
from zoo.training.arrays import Inputs

SUFFIXES = (".npz", ".npy", ".csv")


def read(path: Path, source: str) -> Inputs:
    """Read the inputs of a model from a file.

    Args:
        path: An .npz or .npy file of arrays, or a .csv file of one sequence, one row per step.
        source: The name of the model. Only presets define the columns of a .csv file.

    Raises:
        ValueError: There is no such file, it cannot be read, or its columns are wrong. The message
            names the columns.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} must be an .npz, .npy or .csv file.")
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    return _table(path, source) if path.suffix == ".csv" else _arrays(path)


def content(path: Path) -> bytes:
    """Read the bytes of a file.

    Raises:
        ValueError: There is no such file.
    """
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    return path.read_bytes()


def _table(path: Path, source: str) -> Inputs:
    preset = registry.PRESETS.get(source)
    if preset is None or preset.from_table is None:
        named = [name for name, preset in registry.PRESETS.items() if preset.columns]
        raise ValueError(
            f"{path}: only these presets define the columns of a CSV file: {', '.join(named)}. "
            "For other models, use an .npz or .npy file of arrays."
        )
    return preset.from_table(csv_table.read(path, preset.columns))


def _arrays(path: Path) -> Inputs:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            arrays = dict(loaded)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as arrays: {error}") from error
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays
