"""The command `lnn adapt`: a model predicts a table row by row, and learns from it."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from zoo.cli.options import MaxRows, Sort, Source, note, say, show_table
from zoo.cli.start import load_keras

# Parts of the stream whose errors are shown.
PARTS = 4


def adapt(
    source: Source,
    input: Annotated[
        Path, typer.Option("--input", readable=False, help="Table of the stream, with targets.")
    ],
    method: Annotated[
        str, typer.Option(help="least-squares, or least-mean-squares: less memory, slower.")
    ] = "least-squares",
    state: Annotated[
        Path | None, typer.Option(help="Continue from this file if it exists, and write it.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a plot of the error to this .png or .svg file.")
    ] = None,
    sort: Sort = False,
    max_rows: MaxRows = 200_000,
) -> None:
    """Predict a table row by row and learn from each target; compare with the frozen model."""
    from zoo import registry
    from zoo.adaptation import tables
    from zoo.argument_checks import require_choice
    from zoo.tables import fitted

    require_choice("method", method, tables.METHODS)
    if plot is not None and plot.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"Plots are written as .png or .svg; received {plot}.")
    horizon = 0
    if source in registry.PRESETS:
        if sort:
            raise ValueError(
                "`--sort` is for models of `lnn fit`; the rows of a preset have order."
            )
        streams = [tables.preset_stream(registry.get(source), input, max_rows)]
    else:
        columns = fitted.columns_of(source)
        if columns is None:
            raise ValueError(
                f"{source} names no columns: `lnn adapt` takes presets and models of `lnn fit`."
            )
        horizon = columns.horizon
        _, found, notes = fitted.read_for(
            columns, input, with_targets=True, sort=sort, max_rows=max_rows
        )
        for text in notes:
            note(text)
        streams = tables.fitted_streams(columns, found)
    load_keras()
    from zoo.hub import store

    model = store.load(source)
    adaptive = tables.adaptive_model(model, method, horizon)
    if state is not None and state.exists():
        adaptive.load_state(state)
    result = tables.run(model, adaptive, streams, horizon)
    errors = {
        "frozen": tables.mean_squared_errors(streams, result.frozen),
        "adaptive": tables.mean_squared_errors(streams, result.adapted),
    }
    _print(errors, result.log)
    if state is not None:
        adaptive.save_state(state)
        say(f"what was learned is in {state}")
    if plot is not None:
        from zoo.adaptation.plot import errors_over_time

        plot.write_bytes(errors_over_time(errors, plot.suffix[1:].lower()))
        say(f"plot written to {plot}")


def _print(errors: dict[str, np.ndarray], log: dict) -> None:
    """The errors of the whole stream and of its parts, and what the guards did."""
    count = len(errors["frozen"])
    names = ["whole", *(f"part {number + 1}" for number in range(PARTS))] if count >= PARTS else []
    parts = [
        slice(None),
        *(slice(i * count // PARTS, (i + 1) * count // PARTS) for i in range(PARTS)),
    ]
    rows = [
        [name, *(f"{np.sqrt(values[part].mean()):.4g}" for part in parts[: max(1, len(names))])]
        for name, values in errors.items()
    ]
    show_table(["RMSE / deviation", *(names or ["whole"])], rows)
    change = np.sqrt(errors["adaptive"].mean() / errors["frozen"].mean()) - 1
    say(f"the adaptive model's error is {change:+.1%} on {count:,} rows with a target")
    say(
        f"learned from {log['learned']:,.0f} rows; {log['missing']:,.0f} without a target; "
        f"{log['limited']:,.0f} errors limited; share of the correction now "
        f"{np.mean(log['share']):.2f}"
    )
