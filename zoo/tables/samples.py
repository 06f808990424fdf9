"""Samples of a table that ship with its model: for calibration, for verification, and as rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.readers.table import Table
from zoo.tables import sequences, splits
from zoo.tables.columns import Columns
from zoo.tables.sequences import TableSequence, has_target
from zoo.tables.splits import Parts
from zoo.training.arrays import Inputs

SAMPLE_ROWS, CALIBRATION_WINDOWS = 1_000, 32
TABLE_ROWS = 300


def arrays(parts: Parts, columns: Columns, window: int) -> dict[str, Any]:
    """Training windows for calibration; test sequences with their targets for verification."""
    windows = splits.windows([*parts["train"], *parts["validation"]], window)
    calibration, _ = sequences.stacked([windows[i] for i in _typical(windows)])
    whole = [sequence for sequence in parts["test"] if len(sequence) > 1]
    whole = [whole[i] for i in np.random.default_rng(0).permutation(len(whole))]
    rows = min(SAMPLE_ROWS, min(map(len, whole)))
    tested = [s.part(slice(0, rows)) for s in whole[: max(1, SAMPLE_ROWS // rows)]]
    known = min(_labelled_rows(sequence) for sequence in tested)
    if known > 1:
        tested = [sequence.part(slice(0, known)) for sequence in tested]
    samples: dict[str, Any] = {"calibration": _single(calibration), "inputs": inputs(tested)}
    if known > 1:
        samples["targets"] = _true_outputs(tested, columns)
    return samples


def inputs(found: Sequence[TableSequence]) -> Inputs:
    """The inputs of sequences for a model; shorter sequences are padded at their ends."""
    return _single(sequences.stacked(found)[0])


def labelled(found: Sequence[TableSequence], columns: Columns) -> tuple[Inputs, np.ndarray] | None:
    """Inputs with their true outputs, of the first rows of all sequences that are long enough.

    The number of rows is the one that keeps the most rows in total.

    Args:
        found: The sequences.
        columns: Their columns.

    Returns:
        None if no two rows at the start of a sequence have a target.
    """
    known = np.array([_labelled_rows(sequence) for sequence in found])
    rows = max(known, key=lambda count: int(count * (known >= count).sum()))
    if rows < 2:
        return None
    kept = [s.part(slice(0, rows)) for s, count in zip(found, known, strict=True) if count >= rows]
    return inputs(kept), _true_outputs(kept, columns)


def _true_outputs(found: Sequence[TableSequence], columns: Columns) -> np.ndarray:
    """The targets of sequences of one length, as the model returns them."""
    _, targets = sequences.stacked(found)
    return np.eye(len(columns.classes), dtype="float32")[targets] if columns.classes else targets


def _typical(windows: Sequence[TableSequence]) -> list[int]:
    """Windows over all of the table, and those with the smallest and largest value of a feature.

    The ranges of an integer file cover these, so that few values of other rows lie outside.
    """
    spread = np.linspace(0, len(windows) - 1, min(CALIBRATION_WINDOWS, len(windows))).astype(int)
    rows = [window.inputs[sequences.ROW] for window in windows]
    lowest = np.argmin([row.min(axis=0) for row in rows], axis=0)
    highest = np.argmax([row.max(axis=0) for row in rows], axis=0)
    return sorted({int(i) for i in (*spread, *lowest, *highest)})


def _labelled_rows(sequence: TableSequence) -> int:
    """How many rows from the first on have a target."""
    missing = np.flatnonzero(~has_target(sequence.targets))
    return int(missing[0]) if len(missing) else len(sequence)


def _single(inputs: dict[str, np.ndarray]) -> Any:
    return inputs if len(inputs) > 1 else inputs[sequences.ROW]


def table_rows(table: Table, parts: Parts, columns: Columns) -> bytes:
    """The first test rows in the columns of the table, as CSV."""
    rows = np.concatenate([sequence.rows for sequence in parts["test"]])[:TABLE_ROWS]
    names = [*columns.required, *columns.targets]
    return table.frame.iloc[rows][list(dict.fromkeys(names))].to_csv(index=False).encode()
