"""`fit`: train a model for a table of the user, and compare it with simple predictions."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.readers import table as tables
from zoo.readers.table import MAX_ROWS, Table
from zoo.tables import baselines, plan, plot, samples, scores, sequences, splits, training
from zoo.tables.columns import Columns
from zoo.tables.fitted import PLOT, SAMPLE_TABLE, Fitted
from zoo.tables.model import ModelConfig
from zoo.tables.sequences import has_target
from zoo.tables.splits import Parts
from zoo.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from zoo.training.checkpoint import Epoch

MIN_LABELLED_ROWS = 8


@dataclass(frozen=True)
class Progress:
    """How far a fit has come.

    Attributes:
        model: Name of the model that is being trained.
        epoch: Epochs that are done.
        epochs: The largest number of epochs.
        loss: Validation loss of the last epoch.
    """

    model: str
    epoch: int
    epochs: int
    loss: float


def fit(
    table: "str | Path | pd.DataFrame",
    target: str | Sequence[str] | None = None,
    *,
    label: str | None = None,
    time: str | None = None,
    group: str | None = None,
    horizon: int = 0,
    ignore: Sequence[str] = (),
    cell: str = "liquid",
    units: int = 32,
    unfolds: int = 1,
    window: int | None = None,
    epochs: int = 30,
    quantize_aware: int = 0,
    seed: int = 0,
    time_format: str | None = None,
    duplicates: str = "refuse",
    sort: bool = False,
    max_rows: int = MAX_ROWS,
    progress: Callable[[Progress], None] | None = None,
) -> Fitted:
    """Train a model for a table, and compare it with simple predictions on its last part.

    The model reads the rows one after the other and predicts a value for each. Rows are split by
    group, or by time if there are fewer than three groups: 70 % for training, 15 % to select the
    weights, and 15 % for the metrics. Values are normalized within the model. A missing number
    counts as the last one before it, also on a device. If the times are irregular, the model gets
    the time since the row before, in seconds or in the unit of the column.

    Args:
        table: A CSV or Parquet file, or a DataFrame. Separator, decimal mark, encoding and the
            form of dates are detected.
        target: The column of numbers to predict, or several.
        label: The column of classes to predict, in the place of `target`. If all rows of each group
            have one class, metrics and predictions count once per group, at its last row.
        time: The column of times: dates, times since 1970, or other numbers.
        group: The column that tells recordings apart.
        horizon: How many rows ahead to predict. With 0, the target of a row is predicted from the
            other columns; from 1 on, the model reads the target's present value too.
        ignore: Columns that the model does not read.
        cell: "liquid", "cfc", "ltc", "lrc", "ctrnn", "lstm" or "gru"; or "stack" for two blocks of
            a diagonal liquid cell.
        units: Number of neurons, of each block of a stack.
        unfolds: Solver steps per row, of cells that have a solver.
        window: Rows per training sequence; by default 64, or fewer if groups are shorter.
        epochs: Maximum number of epochs. Training stops after 8 epochs without improvement.
        quantize_aware: Further epochs, which compute with the rounding of an int8 file. They make
            the model robust to it; needed for forecasts that are nearly exact.
        seed: Seed of the weights, of the data order, and of the split by groups.
        time_format: The form of the dates as `datetime.strptime` takes it.
        duplicates: Rows of one group with the same time: "refuse" the table, "keep" them, or use
            the "first" or the "last".
        sort: Whether to sort rows by time; otherwise unsorted times are an error.
        max_rows: The largest number of rows that are read.
        progress: Called after each epoch.

    Returns:
        The model with its columns and metrics.

    Raises:
        ValueError: An argument is invalid; there is no such file or column; a target is constant
            or text; times are not in order; a group or the table is too short.

    Example:
        >>> import numpy as np, pandas as pd, zoo
        >>> t = np.arange(400)
        >>> waves = pd.DataFrame({"level": np.sin(t / 5) + t % 2, "time": t})
        >>> fitted = zoo.fit(waves, "level", time="time", horizon=1, units=8, epochs=2)
        >>> list(fitted.predict(waves).columns)
        ['time', 'predicted level (+1 rows)']
    """
    prepared = prepare(
        table,
        plan.TableOptions(
            targets=(target,) if isinstance(target, str) else tuple(target or ()),
            label=label,
            time=time,
            group=group,
            horizon=horizon,
            ignore=tuple(ignore),
            time_format=time_format,
            duplicates=duplicates,
            sort=sort,
        ),
        TrainingOptions(ModelConfig(cell, units, unfolds), window, epochs, seed, quantize_aware),
        max_rows,
    )
    return train(prepared, progress)


@dataclass(frozen=True)
class TrainingOptions:
    """The model and its training, as the user states them; see `fit`."""

    config: ModelConfig
    window: int | None = None
    epochs: int = 30
    seed: int = 0
    quantize_aware: int = 0

    def __post_init__(self) -> None:
        if self.quantize_aware < 0:
            raise ValueError(
                f"`quantize_aware` must be at least 0 epochs; received {self.quantize_aware!r}."
            )


@dataclass(frozen=True)
class Prepared:
    """A table that has been read and checked, before Keras is needed.

    Attributes:
        table: The table.
        columns: Its columns.
        parts: Its training, validation and test part.
        options: The options of the training.
        recipe: The recipe of the training.
        window: Rows per training sequence.
        notes: Remarks about the table.
    """

    table: Table
    columns: Columns
    parts: Parts
    options: TrainingOptions
    recipe: TrainingRecipe
    window: int
    notes: tuple[str, ...]


def prepare(
    source: "str | Path | pd.DataFrame",
    options: plan.TableOptions,
    training_options: TrainingOptions,
    max_rows: int = MAX_ROWS,
) -> Prepared:
    """Read a table, decide on its columns, split it, and check all of it.

    Raises:
        ValueError: See `fit`.
    """
    recipe = replace(training.RECIPE, epochs=training_options.epochs)
    table = tables.read(source, max_rows, [options.label] if options.label else ())
    columns, notes = plan.columns_of(table, options)
    found, remarks = sequences.read(table, columns, options.sort)
    plan.require_lengths(table, found, columns)
    parts = splits.split(found, columns, training_options.seed)
    _require_targets(table, parts)
    window = _window(training_options.window, parts, table)
    columns, parts = _limited(columns, parts)
    all_notes = (*table.notes, *notes, *remarks)
    return Prepared(table, columns, parts, training_options, recipe, window, all_notes)


def train(prepared: Prepared, progress: Callable[[Progress], None] | None = None) -> Fitted:
    """Train the model of a table and an LSTM of the same size, and compare them on the test part.

    Args:
        prepared: The table.
        progress: Called after each epoch.
    """
    columns, parts, options = prepared.columns, prepared.parts, prepared.options
    config, training_part, test = options.config, parts["train"], parts["test"]
    statistics = training.statistics_of(training_part, columns)
    outputs = {
        baselines.constant_name(columns): baselines.constant(training_part, test, columns),
        "linear": baselines.linear(training_part, test, columns, statistics),
    }

    def trained(config: ModelConfig, rounded: int = 0) -> "tuple[keras.Model, list[Epoch]]":
        history: list[Epoch] = []

        def report(epoch: "Epoch") -> None:
            history.append(epoch)
            if progress:
                epochs = prepared.recipe.epochs + rounded
                progress(Progress(config.cell, len(history), epochs, epoch.validation_loss))

        model = training.train(
            columns,
            config,
            parts,
            statistics,
            prepared.window,
            prepared.recipe,
            options.seed,
            report,
            rounded,
        )
        return model, history

    model, history = trained(config, options.quantize_aware)
    own = training.predictions(model, test)
    if config.cell != "lstm":
        lstm, _ = trained(training.lstm_config(columns, config, model.count_params()))
        outputs["lstm"] = training.predictions(lstm, test)
    metrics = scores.metrics(columns, statistics.target_deviation)
    measured = {
        name: scores.score(metrics, *scores.labelled(test, values, columns))
        for name, values in {config.cell: own, **outputs}.items()
    }
    return Fitted(
        model=model,
        columns=columns,
        metrics=measured,
        notes=prepared.notes,
        recorded={
            "config": asdict(config),
            "seed": options.seed,
            "window": prepared.window,
            "epochs": len(history),
            "seconds": round(sum(epoch.seconds for epoch in history), 1),
            "rows": {name: sum(map(len, part)) for name, part in parts.items()},
            "groups": {name: len(part) for name, part in parts.items()},
            "target_deviation": statistics.target_deviation.tolist(),
        },
        samples=samples.arrays(parts, columns, prepared.window),
        files={
            SAMPLE_TABLE: samples.table_rows(prepared.table, parts, columns),
            PLOT: plot.held_out(columns, test, own, prepared.table),
        },
    )


def _require_targets(table: Table, parts: Parts) -> None:
    counts = {
        name: sum(int(has_target(sequence.targets).sum()) for sequence in part)
        for name, part in parts.items()
    }
    few = [name for name, count in counts.items() if count < MIN_LABELLED_ROWS]
    if few:
        raise ValueError(
            f"{table.name} has {len(table.frame):,} rows, of which {counts[few[0]]} with a target "
            f"are for the {few[0]} part; at least {MIN_LABELLED_ROWS} are needed in each of the "
            "three parts."
        )


def _limited(columns: Columns, parts: Parts) -> tuple[Columns, Parts]:
    """Limit all numbers to the range of the training rows without outliers."""
    limits = training.limits_of(parts["train"], columns)
    for sequence in (s for part in parts.values() for s in part):
        rows = sequence.inputs[sequences.ROW]
        numbers = rows[:, : len(columns.numbers)]
        np.clip(numbers, limits[:, 0], limits[:, 1], out=numbers)
    named = {
        name: (float(low), float(high))
        for name, (low, high) in zip(columns.numbers, limits, strict=True)
    }
    return replace(columns, limits=named), parts


def _window(window: int | None, parts: Parts, table: Table) -> int:
    longest = max(map(len, parts["train"]))
    if window is None:
        return min(training.WINDOW, longest)
    if isinstance(window, bool) or not isinstance(window, int) or window < 2:
        raise ValueError(f"`window` must be an integer of at least 2; received {window!r}.")
    if window > longest:
        raise ValueError(
            f"`window` is {window:,} rows, but the longest training sequence of {table.name} has "
            f"{longest:,}; use a shorter one."
        )
    return window
