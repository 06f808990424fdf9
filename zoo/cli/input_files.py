"""Input files of the user: .npz and .npy arrays, and tables for models with columns."""

from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.cli.options import note
from zoo.data import column_kinds
from zoo.hub import store
from zoo.preset import Preset
from zoo.readers import arrays
from zoo.readers import table as tables
from zoo.readers.files import FileError, shown
from zoo.readers.text import printable
from zoo.tables import samples, splits
from zoo.tables.columns import Columns
from zoo.tables.fitted import columns_of, read_for
from zoo.tables.sequences import TableSequence
from zoo.training.arrays import Inputs

SEQUENCE_ROWS = 1_000


def read(path: Path, source: str, max_rows: int = tables.MAX_ROWS) -> Inputs:
    """Read the inputs of a model from a file.

    Args:
        path: An .npz or .npy file of arrays; or a table: for presets one sequence, one row per
            step, for models that were fitted to a table one with its columns.
        source: The name of the model.
        max_rows: The largest number of rows of a table.

    Raises:
        ValueError: There is no such file, it cannot be read, or its columns are wrong. The message
            names the columns.
    """
    if is_table(path):
        columns = columns_of(source)
        if columns is not None:
            return samples.inputs(_windows(path, columns, max_rows))
        return _table(path, source, max_rows)
    if path.suffix.lower() not in (".npz", ".npy"):
        raise FileError(
            f"{shown(path)} must be a file of arrays, .npz or .npy, or a table: "
            f"{', '.join(tables.SUFFIXES)}."
        )
    loaded = arrays.read(path)
    if isinstance(loaded, dict) and len(loaded) == 1:
        return next(iter(loaded.values()))
    return loaded


def is_table(path: Path) -> bool:
    """Whether the name of a file is that of a table."""
    return path.suffix.lower() in tables.SUFFIXES


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
    columns = columns_of(source) if is_table(path) else None
    if columns is None:
        data = read(path, source)
        return data, data
    windows = _windows(path, columns, tables.MAX_ROWS)
    data = samples.inputs(windows)
    return data, samples.labelled(windows, columns) or data


def targets(path: Path, preset: Preset, max_rows: int) -> dict[str, np.ndarray]:
    """The true values in a table for a preset, by column; empty if the table has none."""
    if not preset.target_columns:
        return {}
    table = tables.read_cells(path, max_rows)
    if not set(preset.target_columns) <= set(table.frame.columns):
        return {}
    return column_kinds.checked(table, dict.fromkeys(preset.target_columns, column_kinds.NUMBER))


def true_outputs(path: Path, preset: Preset, max_rows: int) -> np.ndarray | None:
    """The true outputs (1, rows, outputs) of a preset's model in a table; None if it has none."""
    if preset.stream_targets is None:
        return None
    table = tables.read_cells(path, max_rows)
    if not set(preset.target_columns) <= set(table.frame.columns):
        return None
    kinds = {**preset.columns, **dict.fromkeys(preset.target_columns, column_kinds.NUMBER)}
    return preset.stream_targets(column_kinds.checked(table, kinds))[None]


def sample(source: str, name: str) -> Any:
    """A part of the sample data of a preset: "calibration" or "inputs".

    Raises:
        ValueError: The preset ships no such data.
    """
    found = store.samples(source)
    if name not in found:
        raise ValueError(f"{printable(source)} ships no {name}; give the data in a file.")
    return found[name]


def _windows(path: Path, columns: Columns, max_rows: int) -> list[TableSequence]:
    """The rows of a table as sequences for calibration and verification."""
    _, found, notes = read_for(columns, path, with_targets=False, max_rows=max_rows)
    for text in notes:
        note(text)
    return splits.windows(found, SEQUENCE_ROWS)


def _table(path: Path, source: str, max_rows: int) -> Inputs:
    preset = registry.PRESETS.get(source)
    if preset is None or preset.from_table is None:
        named = [name for name, preset in registry.PRESETS.items() if preset.columns]
        raise ValueError(
            f"{shown(path)}: only these presets define the columns of a table: "
            f"{', '.join(named)}. For other models, use an .npz or .npy file of arrays."
        )
    table = tables.read_cells(path, max_rows)
    columns = column_kinds.checked(table, preset.columns)
    known = {*preset.columns, *preset.target_columns}
    extra = [str(name) for name in table.frame.columns if name not in known]
    if extra:
        listed = printable(", ".join(extra[:8])) + (" ..." if len(extra) > 8 else "")
        note(f"{source} does not read these columns: {listed}.")
    for text in table.notes:
        note(text)
    try:
        # Values beyond float32 become infinite, which the checks of the inputs name.
        with np.errstate(all="ignore"):
            return preset.from_table(columns)
    except ValueError as error:
        raise FileError(f"{shown(path)}: {error}") from error
