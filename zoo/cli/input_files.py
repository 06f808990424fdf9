"""Input files of the user: .npz and .npy arrays, and CSV tables for presets with columns."""

from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.cli.options import TABLES, note
from zoo.data import csv_table
from zoo.hub import store
from zoo.preset import Preset
from zoo.readers import arrays, files
from zoo.readers.files import FileError, shown
from zoo.readers.text import printable
from zoo.tables import samples, splits
from zoo.tables.columns import Columns
from zoo.tables.fitted import columns_of, read_for
from zoo.tables.sequences import TableSequence
from zoo.training.arrays import Inputs

SUFFIXES = (".npz", ".npy", ".csv")
SEQUENCE_ROWS = 1_000


def read(path: Path, source: str) -> Inputs:
    """Read the inputs of a model from a file.

    Args:
        path: An .npz or .npy file of arrays; or a table: for presets a .csv file of one sequence,
            one row per step, for models that were fitted to a table one with its columns.
        source: The name of the model.

    Raises:
        ValueError: There is no such file, it cannot be read, or its columns are wrong. The message
            names the columns.
    """
    suffix = path.suffix.lower()
    if suffix in TABLES:
        columns = columns_of(source)
        if columns is not None:
            return samples.inputs(_windows(path, columns))
    if suffix not in SUFFIXES:
        raise FileError(f"{shown(path)} must be an .npz, .npy or .csv file.")
    if suffix == ".csv":
        return _table(files.require_file(path), source)
    loaded = arrays.read(path)
    if isinstance(loaded, dict) and len(loaded) == 1:
        return next(iter(loaded.values()))
    return loaded


def read_with_targets(path: Path, source: str) -> tuple[Inputs, Inputs | tuple[Inputs, np.ndarray]]:
    """Read the inputs of a model, and inputs to verify it on, with their true outputs.

    Only a table for a model that was fitted to one names the targets in the units of the outputs.

    Args:
        path: The file; see `read`.
        source: The name of the model.

    Returns:
        All inputs; and the same, or those with targets and their targets.

    Raises:
        ValueError: See `read`.
    """
    columns = columns_of(source) if path.suffix.lower() in TABLES else None
    if columns is None:
        data = read(path, source)
        return data, data
    windows = _windows(path, columns)
    data = samples.inputs(windows)
    return data, samples.labelled(windows, columns) or data


def targets(path: Path, preset: Preset) -> dict[str, np.ndarray]:
    """The true values in a table for a preset, by column; empty if the table has none."""
    others: list[str] = []
    csv_table.read(path, preset.columns, others)
    if not preset.target_columns or not set(preset.target_columns) <= set(others):
        return {}
    return csv_table.read(path, dict.fromkeys(preset.target_columns, csv_table.NUMBER))


def sample(source: str, name: str) -> Any:
    """A part of the sample data of a preset: "calibration" or "inputs".

    Raises:
        ValueError: The preset ships no such data.
    """
    found = store.samples(source)
    if name not in found:
        raise ValueError(f"{printable(source)} ships no {name}; give the data in a file.")
    return found[name]


def _windows(path: Path, columns: Columns) -> list[TableSequence]:
    """The rows of a table as sequences for calibration and verification."""
    _, found, notes = read_for(columns, path, with_targets=False)
    for text in notes:
        note(text)
    return splits.windows(found, SEQUENCE_ROWS)


def _table(path: Path, source: str) -> Inputs:
    preset = registry.PRESETS.get(source)
    if preset is None or preset.from_table is None:
        named = [name for name, preset in registry.PRESETS.items() if preset.columns]
        raise ValueError(
            f"{shown(path)}: only these presets define the columns of a CSV file: "
            f"{', '.join(named)}. For other models, use an .npz or .npy file of arrays."
        )
    others: list[str] = []
    table = csv_table.read(path, preset.columns, others)
    extra = [name for name in others if name not in preset.target_columns]
    if extra:
        note(f"{source} does not read these columns: {printable(', '.join(extra[:8]))}.")
    try:
        # Values beyond float32 become infinite, which the checks of the inputs name.
        with np.errstate(all="ignore"):
            return preset.from_table(table)
    except ValueError as error:
        raise FileError(f"{shown(path)}: {error}") from error
