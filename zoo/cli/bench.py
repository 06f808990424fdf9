"""The commands `lnn bench`: measurements on public data."""

from typing import Annotated

import typer

from zoo.cli.options import show_table
from zoo.cli.start import load_keras

app = typer.Typer(help="Measure models on public data.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group of commands, also while it has one."""


@app.command()
def adapt(
    stream: Annotated[
        list[str] | None, typer.Option(help="Stream to measure; may be repeated; default: all.")
    ] = None,
) -> None:
    """Compare ways to adapt on streams in which something changes: predict first, then learn."""
    from zoo.adaptation import results
    from zoo.argument_checks import require_choice

    load_keras()
    available = {found.name: found for found in results.streams()}
    for name in stream or ():
        require_choice("stream", name, available)
    models = {found.model for name, found in available.items() if not stream or name in stream}
    # The unchanged stream of a model gives the least error after a change.
    chosen = [
        found
        for name, found in available.items()
        if not stream or name in stream or (found.change is None and found.model in models)
    ]
    rows = [result.cells() for result in results.results(chosen)]
    show_table(results.HEADINGS, rows, left=(0, 1))
