"""Fitted: a model that was fitted to a table, with predictions, scores and a preset folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.readers import table as tables
from zoo.readers.files import FileError, shown
from zoo.readers.table import MAX_ROWS, Table, pandas
from zoo.tables import scores, sequences
from zoo.tables.columns import Columns, require_columns
from zoo.tables.sequences import TableSequence, has_target
from zoo.tables.training import predictions
from zoo.training.arrays import Inputs
from zoo.training.prediction import require_finite

if TYPE_CHECKING:
    import keras
    import pandas as pd

SAMPLE_TABLE, PLOT = "sample.csv", "plot.png"
Source = "str | Path | pd.DataFrame"


@dataclass(frozen=True)
class Fitted:
    """A model that was fitted to a table.

    Attributes:
        model: The Keras model. Its outputs are in the units of the targets, or probabilities.
        columns: The columns that it reads and predicts.
        metrics: The metrics on the test part of the table, of the model and of those that it is
            compared with: {"liquid": {"RMSE": ...}, "persistence": ...}.
        notes: Remarks about the table.
        recorded: Further facts about the training, in types that JSON has.
        samples: Sequences for the calibration and verification of exports.
        files: Further files of the preset folder by name: sample rows and a plot.
    """

    model: "keras.Model"
    columns: Columns
    metrics: Mapping[str, Mapping[str, float]]
    notes: tuple[str, ...] = ()
    recorded: Mapping[str, Any] = field(default_factory=dict)
    samples: Mapping[str, Inputs] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def predict(self, table: "str | Path | pd.DataFrame", **options: Any) -> "pd.DataFrame":
        """Predictions for a table, in the units of the targets.

        Args:
            table: A CSV or Parquet file, or a DataFrame, with the columns that the model reads, in
                any order. Each group is a sequence of its own.
            **options: `sort` and `max_rows`; see `zoo.fit`.

        Returns:
            One row per row of the table, or per group if each group has one class: the group, the
            time, and "predicted TARGET"; for classes also "probability CLASS".

        Raises:
            ValueError: A column is missing, or holds values that the model cannot read.
            NotFiniteError: A prediction is NaN or infinite.
        """
        read, found, _ = read_for(self.columns, table, with_targets=False, **options)
        return self.as_table(read, found, self.outputs(found))

    def evaluate(self, table: "str | Path | pd.DataFrame", **options: Any) -> dict[str, float]:
        """The metrics of the predictions for a table that has the targets too.

        Args:
            table: See `predict`.
            **options: See `predict`.

        Raises:
            ValueError: See `predict`; or the table has no target.
            NotFiniteError: A prediction is NaN or infinite.
        """
        _, found, _ = read_for(self.columns, table, with_targets=True, **options)
        return self.score(found, self.outputs(found))

    def outputs(self, found: Sequence[TableSequence]) -> list[np.ndarray]:
        """The outputs (rows, outputs) of the model for each sequence, all finite."""
        outputs = predictions(self.model, found)
        for array in outputs:
            require_finite(array[None], "the model")
        return outputs

    def score(
        self, found: Sequence[TableSequence], outputs: Sequence[np.ndarray]
    ) -> dict[str, float]:
        """The metrics of outputs.

        Raises:
            ValueError: No row has a target.
        """
        if not any(has_target(sequence.targets).any() for sequence in found):
            names = ", ".join(map(repr, self.columns.targets))
            raise ValueError(f"No row of the table has a target in {names} that the model knows.")
        targets, predicted = scores.labelled(found, outputs, self.columns)
        deviation = np.array(self.recorded.get("target_deviation", [1.0]))
        return scores.score(scores.metrics(self.columns, deviation), targets, predicted)

    def as_table(
        self, table: Table, found: Sequence[TableSequence], outputs: Sequence[np.ndarray]
    ) -> "pd.DataFrame":
        """Outputs as a table; see `predict`."""
        pd = pandas()

        columns = self.columns
        rows = [s.rows[-1:] if columns.per_group else s.rows for s in found]
        values = [o[-1:] if columns.per_group else o for o in outputs]
        chosen, predicted = np.concatenate(rows), np.concatenate(values)
        order = np.argsort(chosen, kind="stable")
        chosen, predicted = chosen[order], predicted[order]
        frame = table.frame.iloc[chosen]
        result: dict[str, Any] = {}
        if columns.group is not None:
            result[columns.group] = frame[columns.group].to_numpy()
        if columns.time is not None and not columns.per_group:
            result[columns.time] = frame[columns.time].to_numpy()
        if not result:
            result["row"] = frame.index.to_numpy() + 1
        later = f" (+{columns.horizon} rows)" if columns.horizon else ""
        if columns.classes:
            names = np.array(columns.classes, dtype=object)[predicted.argmax(axis=-1)]
            result[f"predicted {columns.targets[0]}{later}"] = names
            shares = {f"probability {c}": predicted[:, i] for i, c in enumerate(columns.classes)}
            return pd.DataFrame({**result, **shares})
        for place, name in enumerate(columns.targets):
            result[f"predicted {name}{later}"] = predicted[:, place]
        return pd.DataFrame(result)

    def save(self, folder: str | Path) -> None:
        """Write a preset folder, which `zoo.load`, `Fitted.load` and the command line read.

        Raises:
            OSError: The folder cannot be written, or holds other files.
        """
        from zoo.hub import store
        from zoo.tables.card import render_card

        store.save(
            self.model,
            folder,
            card=render_card(self),
            samples=dict(self.samples),
            attachments=dict(self.files),
            name=Path(folder).absolute().name,
            table={"columns": self.columns.config(), "notes": list(self.notes)},
            metrics={name: dict(values) for name, values in self.metrics.items()},
            **self.recorded,
        )

    @classmethod
    def load(cls, source: str | Path) -> "Fitted":
        """Load a folder that `save` wrote, or one at an address.

        Raises:
            ValueError: There is no such folder, or its model was not fitted to a table.
        """
        from zoo.hub import store

        columns = columns_of(source)
        if columns is None:
            raise FileError(f"The model {shown(source)} was not fitted to a table.")
        recorded = store.metadata(source)
        metrics = recorded.pop("metrics", {})
        notes = tuple(recorded.pop("table").get("notes", ()))
        return cls(store.load(source), columns, metrics, notes, recorded, store.samples(source))


def columns_of(source: str | Path) -> Columns | None:
    """The columns of a model that was fitted to a table; None for other models."""
    from zoo import registry
    from zoo.hub import store

    # A .keras file has no metadata of ours, and presets define their columns themselves.
    if str(source) in registry.PRESETS or Path(source).suffix == ".keras":
        return None
    recorded = store.metadata(source).get("table")
    if recorded is None:
        return None
    config = recorded.get("columns") if isinstance(recorded, dict) else None
    return Columns.from_config(config, f"{shown(source)}/{store.METADATA}")


def read_for(
    columns: Columns,
    table: "str | Path | pd.DataFrame",
    *,
    with_targets: bool,
    sort: bool = False,
    max_rows: int = MAX_ROWS,
) -> tuple[Table, list[TableSequence], list[str]]:
    """Read a table as sequences for a model with these columns; needs no Keras.

    Args:
        columns: The columns of the model.
        table: The table.
        with_targets: Whether the targets must be there.
        sort: Whether to sort the rows by time.
        max_rows: The largest number of rows.

    Returns:
        The table, its sequences, and notes about columns and values that the model does not know.

    Raises:
        ValueError: A column is missing, or holds values that the model cannot read.
    """
    read = tables.read(table, max_rows, texts_of(columns))
    if with_targets:
        require_columns(read, columns.targets, ", the target")
    found, notes = sequences.read(read, columns, sort)
    known = {*columns.required, *columns.targets}
    extra = [str(name) for name in read.frame.columns if str(name) not in known]
    if extra:
        listed = ", ".join(extra[:8]) + (" ..." if len(extra) > 8 else "")
        notes.insert(0, f"The model does not read these columns: {listed}.")
    return read, found, [*read.notes, *notes]


def texts_of(columns: Columns) -> tuple[str, ...]:
    """The columns of a table that are texts, even if all cells of another table are numbers."""
    return (*columns.categories, *(columns.targets if columns.classes else ()))
