"""The commands `lnn predict` and `lnn evaluate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from zoo.cli.options import (
    AsJson,
    InputFile,
    MaxRows,
    Sort,
    Source,
    console,
    note,
    say,
    show_table,
)
from zoo.cli.start import load_keras

if TYPE_CHECKING:
    import pandas as pd

    from zoo.tables.columns import Columns

_SHOWN_ROWS = 5


def predict(
    source: Source,
    input: InputFile = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the predictions to this .csv, .parquet or .npz file.")
    ] = None,
    sort: Sort = False,
    max_rows: MaxRows = 2_000_000,
) -> None:
    """Run a model on a table or on arrays from a file, or on the sample of the preset."""
    from zoo.cli import input_files, prediction_files
    from zoo.tables.fitted import columns_of

    prediction_files.require_suffix(out)
    columns = columns_of(source)
    if columns is not None and (input is None or input_files.is_table(input)):
        _predict_table(source, columns, input, out, sort, max_rows)
        return
    # Before the seconds that loading Keras takes.
    data = input_files.read(input, source, max_rows) if input else None
    load_keras()
    prediction_files.require_writable(out)
    from zoo import registry
    from zoo.cli.predictions import predictions_of
    from zoo.hub import store

    model = store.load(source)
    if data is None:
        _require_sample(source)
        data = input_files.sample(source, "inputs")
    predictions = predictions_of(model, data, source, input)
    preset = registry.PRESETS.get(source) if input and input_files.is_table(input) else None
    names = columns.outputs if columns else ()
    frame = prediction_files.as_table(predictions, preset, names)
    if out:
        prediction_files.write(out, frame, predictions)
    where = f", written to {out}" if out else ""
    say(f"predictions {predictions.shape}{where}; the last row:")
    _show(frame.tail(1))
    if preset is not None and input is not None:
        targets = input_files.targets(input, preset, max_rows)
        if targets:
            say("against the targets in the table: " + _listed(_errors(frame, targets)))


def evaluate(
    source: Source,
    input: InputFile = None,
    split: Annotated[str, typer.Option(help='"train", "validation" or "test".')] = "test",
    tflite: Annotated[
        Path | None, typer.Option(readable=False, help="Also evaluate this exported file.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Evaluate this .keras file or folder instead.")
    ] = None,
    sort: Sort = False,
    max_rows: MaxRows = 2_000_000,
    as_json: AsJson = False,
) -> None:
    """Compute the metrics of a preset on its dataset, or of a fitted model on a table."""
    from zoo import registry
    from zoo.tables.fitted import columns_of

    if Path(source).suffix == ".keras":
        raise ValueError(
            f"{source} names no metrics and no dataset: use `lnn evaluate PRESET --model {source}`."
        )
    columns = None if source in registry.PRESETS else columns_of(source)
    if columns is not None:
        if tflite or model or split != "test":
            raise ValueError(
                f"{source} was fitted to a table: `--split`, `--tflite` and `--model` are for "
                "presets. `lnn export` verifies exported files."
            )
        _evaluate_table(source, columns, input, sort, max_rows, as_json)
        return
    if input is not None:
        raise ValueError(
            "`--input` is for models that were fitted to a table; a preset is evaluated on its "
            "dataset."
        )
    _evaluate_preset(source, split, tflite, model, as_json)


def _predict_table(
    source: str, columns: "Columns", input: Path | None, out: Path | None, sort: bool, max_rows: int
) -> None:
    """Predict with a fitted model; score the predictions if the table has targets."""
    from zoo.cli import prediction_files
    from zoo.tables import fitted as fitted_models
    from zoo.tables.sequences import has_target

    path = input or _sample(source)
    table, found, notes = fitted_models.read_for(
        columns, path, with_targets=False, sort=sort, max_rows=max_rows
    )
    for text in notes:
        note(text)
    load_keras()
    prediction_files.require_writable(out)
    fitted = fitted_models.Fitted.load(source)
    outputs = fitted.outputs(found)
    frame = fitted.as_table(table, found, outputs)
    if out:
        prediction_files.write(out, frame, None)
    where = f", written to {out}" if out else ""
    say(f"{len(frame):,} predictions for {table.name}{where}; the last ones:")
    _show(frame.tail(_SHOWN_ROWS))
    if any(has_target(sequence.targets).any() for sequence in found):
        values = fitted.score(found, outputs)
        say("against the targets in the table: " + _listed(values))


def _evaluate_table(
    source: str, columns: "Columns", input: Path | None, sort: bool, max_rows: int, as_json: bool
) -> None:
    from zoo.tables import fitted as fitted_models
    from zoo.tables.sequences import has_target

    table, found, notes = fitted_models.read_for(
        columns, input or _sample(source), with_targets=True, sort=sort, max_rows=max_rows
    )
    for text in notes:
        note(text)
    load_keras()
    fitted = fitted_models.Fitted.load(source)
    values = fitted.score(found, fitted.outputs(found))
    rows = sum(int(has_target(sequence.targets).sum()) for sequence in found)
    if as_json:
        typer.echo(json.dumps({"model": source, "rows": rows, "metrics": values}))
        return
    say(f"{table.name}: {_listed(values)} on {rows:,} rows with a target")


def _evaluate_preset(
    name: str, split: str, tflite: Path | None, model: str | None, as_json: bool
) -> None:
    from zoo import registry
    from zoo.argument_checks import require_choice
    from zoo.hub import store
    from zoo.readers import files
    from zoo.training.prediction import require_finite_metrics

    preset = registry.get(name)
    if tflite:
        # Whether there is such a file, before the seconds that loading Keras takes.
        files.content(tflite)
    load_keras()
    from zoo.experiments import runs

    loaded = store.load(model or name)
    seed = store.metadata(name)["seed"]
    splits = preset.load_splits(seed)
    inputs, targets = splits[require_choice("split", split, splits)]
    values = runs.evaluate(preset, loaded, inputs, targets)
    require_finite_metrics(values, model or name)
    measured = {}
    if tflite:
        from export import read_file

        content = read_file(tflite)
        try:
            measured = runs.evaluate_export(preset, content, loaded, inputs, targets)
        except RuntimeError as error:
            # A runtime that dies or hangs on the file.
            raise ValueError(f"{tflite}: {error}") from error
        for runtime, metrics in measured.items():
            require_finite_metrics(metrics, f"{tflite} in {runtime}")
    if as_json:
        result = {"model": model or name, "split": split, "sequences": len(targets)}
        typer.echo(json.dumps({**result, "metrics": {"Keras": values, **measured}}))
        return
    lines = [
        f"Keras: {split} {metric} {value:.4f} on {len(targets):,} sequences"
        for metric, value in values.items()
    ]
    lines += [
        f"{runtime}: {split} {metric} {value:.4f}{_relative(value, values[metric])}"
        for runtime, metrics in measured.items()
        for metric, value in metrics.items()
    ]
    console().print("\n".join(lines), highlight=False)


def _require_sample(source: str) -> None:
    if Path(source).suffix == ".keras":
        raise ValueError(f"{source} has no sample data; give the inputs in a file with --input.")


def _sample(source: str) -> Path:
    """The rows that a fitted model's folder holds."""
    from zoo.hub import store
    from zoo.tables.fitted import SAMPLE_TABLE

    return store.find(source) / SAMPLE_TABLE


def _show(frame: "pd.DataFrame") -> None:
    """The rows of a table; numbers are rounded to five digits."""
    columns = [_texts(frame[name]) for name in frame.columns]
    show_table([str(name) for name in frame.columns], list(zip(*columns, strict=True)), left=())


def _texts(column: "pd.Series") -> list[str]:
    is_float = column.dtype.kind == "f"
    return [f"{value:.5g}" if is_float else str(value) for value in column]


def _errors(frame: "pd.DataFrame", targets: dict[str, np.ndarray]) -> dict[str, float]:
    """Root mean squared and mean absolute error of each column that has targets."""
    values = {}
    for name, target in targets.items():
        error = frame[name].to_numpy() - target
        values[f"{name} RMSE"] = float(np.sqrt(np.mean(error**2)))
        values[f"{name} MAE"] = float(np.mean(np.abs(error)))
    return values


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.5g}" for name, value in values.items())


def _relative(value: float, reference: float) -> str:
    """The relative difference in percent; empty if the reference is 0."""
    return f" ({value / reference - 1:+.2%})" if reference else ""
