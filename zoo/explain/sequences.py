"""The sequences of a file or of a sample, with their true outputs and their labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.hub import store
from zoo.labels import CLASSES, Labels
from zoo.readers.files import FileError, shown
from zoo.tables import fitted as fitted_models
from zoo.tables import samples
from zoo.tables.columns import Columns
from zoo.tables.sequences import has_target, stacked


@dataclass(frozen=True)
class Sequences:
    """The inputs that a file holds, and their true outputs.

    Attributes:
        inputs: Inputs of the model, as `export.to_tflite` takes them.
        targets: True outputs (sequences, ...) in the units of the model; None if unknown.
        origin: The file, in words.
        notes: Remarks for the reader.
    """

    inputs: Any
    targets: np.ndarray | None
    origin: str
    notes: tuple[str, ...] = ()


def labels_of(source: str) -> Labels:
    """The labels of a preset or of a model that was fitted to a table; empty ones for others."""
    if source in registry.PRESETS:
        return registry.PRESETS[source].labels
    columns = fitted_models.columns_of(source)
    return Labels() if columns is None else _labels_of_columns(columns)


def bundled(source: str) -> Sequences:
    """The sample that a preset or a fitted model ships with.

    Raises:
        ValueError: It ships none.
    """
    found = {} if Path(source).suffix == ".keras" else store.samples(source)
    if "inputs" not in found:
        raise FileError(f"{shown(source)} ships no sample; give the inputs in a file with --input.")
    targets = found.get("targets")
    return Sequences(found["inputs"], targets, f"the sample of {source}")


def rows_of_table(path: Path, columns: Columns, sort: bool, max_rows: int) -> Sequences:
    """The sequences of a table for a fitted model, with the targets if the table has them."""
    table, found, notes = fitted_models.read_for(
        columns, path, with_targets=False, sort=sort, max_rows=max_rows
    )
    targets = _targets(found, columns)
    return Sequences(samples.inputs(found), targets, table.name, tuple(notes))


def _labels_of_columns(columns: Columns) -> Labels:
    return Labels(
        features=columns.features,
        outputs=columns.outputs,
        kind=CLASSES if columns.classes else "numbers",
        units=columns.units,
        # Elapsed times are in the unit of the times of the table.
        interval=1.0 if columns.longest is not None else columns.interval,
        time_unit=columns.time_unit,
        step="row",
        sentence=_sentence(columns),
    )


def _sentence(columns: Columns) -> str:
    if columns.classes:
        # A name of the user may hold braces.
        target = columns.targets[0].replace("{", "{{").replace("}", "}}")
        return f"{target} is {{name}}, with probability {{value}}"
    if not columns.horizon:
        return "{name} is {value}"
    rows = "one row" if columns.horizon == 1 else f"{columns.horizon} rows"
    return f"{{name}} {rows} later will be {{value}}"


def _targets(found: Any, columns: Columns) -> np.ndarray | None:
    if not any(has_target(sequence.targets).any() for sequence in found):
        return None
    targets = stacked(found)[1]
    if not columns.classes:
        return targets
    shares = np.eye(len(columns.classes))[targets]
    return np.where(targets[..., None] < 0, np.nan, shares)
