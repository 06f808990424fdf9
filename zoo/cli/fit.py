"""The command `lnn fit`: a model for a table of the user."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.options import MaxRows, Sort, note, say, show_table, training_bar
from zoo.cli.start import load_keras

if TYPE_CHECKING:
    from zoo.tables.fitted import Fitted


def fit(
    table: Annotated[
        Path, typer.Argument(readable=False, help="A .csv, .tsv, .txt or .parquet file.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write the model to.")],
    target: Annotated[
        list[str] | None, typer.Option(help="Column of numbers to predict; may be repeated.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column of classes to predict.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of times: dates or numbers.")] = None,
    group: Annotated[
        str | None, typer.Option(help="Column that tells recordings apart, each a sequence.")
    ] = None,
    horizon: Annotated[
        int, typer.Option(help="Rows ahead to predict; 0: the target of the row itself.")
    ] = 0,
    ignore: Annotated[
        list[str] | None, typer.Option(help="Column to leave out; may be repeated.")
    ] = None,
    cell: Annotated[
        str, typer.Option(help="stack, liquid, cfc, ltc, lrc, ctrnn, lstm or gru.")
    ] = "liquid",
    units: Annotated[int, typer.Option(help="Number of neurons.")] = 32,
    unfolds: Annotated[int, typer.Option(help="Solver steps per row.")] = 1,
    window: Annotated[
        int | None, typer.Option(help="Rows per training sequence; default: at most 64.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Largest number of passes over the data.")] = 30,
    quantize_aware: Annotated[
        int, typer.Option(help="Further epochs, with the rounding of an int8 file.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of weights, data order and split.")] = 0,
    time_format: Annotated[
        str | None, typer.Option(help='Form of the dates, for example "%d/%m/%Y %H:%M".')
    ] = None,
    duplicates: Annotated[
        str, typer.Option(help="Rows with the same time: refuse, keep, first or last.")
    ] = "refuse",
    sort: Sort = False,
    max_rows: MaxRows = 2_000_000,
) -> None:
    """Train a model for your own table, and compare it with simple predictions."""
    from zoo.tables import fitting
    from zoo.tables.model import ModelConfig
    from zoo.tables.plan import TableOptions

    options = TableOptions(
        targets=tuple(target or ()),
        label=label,
        time=time,
        group=group,
        horizon=horizon,
        ignore=tuple(ignore or ()),
        time_format=time_format,
        duplicates=duplicates,
        sort=sort,
    )
    training = fitting.TrainingOptions(
        ModelConfig(cell, units, unfolds), window, epochs, seed, quantize_aware
    )
    prepared = fitting.prepare(table, options, training, max_rows)
    for text in prepared.notes:
        note(text)
    rows = {name: sum(map(len, part)) for name, part in prepared.parts.items()}
    columns = prepared.columns
    say(
        f"{table}: {len(columns.features)} features, {rows['train']:,} rows for training, "
        f"{rows['validation']:,} for validation, {rows['test']:,} for testing"
    )
    load_keras()
    _require_writable(out)
    with training_bar() as show:
        fitted = fitting.train(
            prepared, lambda done: show(done.model, done.epoch, done.epochs, done.loss)
        )
    fitted.save(out)
    _print(fitted)
    say(f"model written to {out}; next: lnn export {out} --target micro --recipe int8")


def _require_writable(out: Path) -> None:
    """Check, before any training, that the folder can be written and holds nothing else."""
    from lnn_keras.atomic_folder import require_writable
    from zoo.hub.model_file import METADATA

    if out.exists() and not out.is_dir():
        raise ValueError(f"Cannot write the folder {out}: a file has that name.")
    if out.is_dir() and any(out.iterdir()) and not (out / METADATA).is_file():
        raise ValueError(f"{out} holds other files; give a new folder with --out.")
    require_writable(out.parent / f".{out.name}")


def _print(fitted: "Fitted") -> None:
    """Print the metrics of all models, and which of them the model beats."""
    from zoo.tables import card, scores

    metrics = card.metrics_of(fitted)
    units = [f" ({metric.unit})" if metric.unit else "" for metric in metrics]
    names = [metric.name + unit for metric, unit in zip(metrics, units, strict=True)]
    rows = [
        [model, *(f"{values[metric.name]:.4g}" for metric in metrics)]
        for model, values in fitted.metrics.items()
    ]
    show_table(["on the test part", *names], rows)
    for line in scores.verdict(metrics, fitted.metrics, next(iter(fitted.metrics))):
        say(line)
