"""The commands `lnn bench`: measurements on public data."""

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from zoo.argument_checks import require_choice
from zoo.cli.options import RunsFolder, measurement_lines, note, say, show_table
from zoo.cli.start import load_keras

app = typer.Typer(help="Measure models on public data.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group of commands."""


@app.command()
def adapt(
    stream: Annotated[
        list[str] | None, typer.Option(help="Stream to measure; may be repeated; default: all.")
    ] = None,
) -> None:
    """Compare ways to adapt on streams in which something changes: predict first, then learn."""
    from zoo.adaptation import results

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


@app.command()
def claims(
    claim: Annotated[
        list[str] | None, typer.Option(help="Claim to measure; may be repeated; default: all.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Task; may be repeated; default: all.")
    ] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(
            help="Layer: liquid, cfc, lstm, gru or gru-elapsed; may be repeated; default: all. If "
            "all named ones are liquid, all stock layers are measured too, and the reverse."
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Number of seeds.", min=1)] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Less data, fewer epochs, one seed: about 4 minutes.")
    ] = False,
    runs: RunsFolder = Path("runs/claims"),
    out: Annotated[
        Path | None, typer.Option(help="Markdown file to write, with values and tests.")
    ] = None,
) -> None:
    """Measure the claims about liquid networks, against an LSTM and GRUs.

    The full measurement takes about an hour. What is interrupted resumes from the folder of runs.
    """
    from lnn_keras.atomic_folder import require_writable, whole_file
    from lnn_keras.plot.style import require_matplotlib
    from zoo.claims import figure, page, results, training
    from zoo.svg import svg_text

    choice = results.choose(claim or (), task or (), cell or ())
    if out is not None:
        if out.suffix == ".svg":
            raise ValueError(
                f"`--out` names a Markdown file, with its figure next to it; received {out}."
            )
        require_writable(out)
        require_matplotlib()
    load_keras()
    extent = training.QUICK if quick else training.FULL
    if seeds is not None:
        extent = dataclasses.replace(extent, seeds=seeds)
    try:
        with measurement_lines() as report:
            found = results.measure(choice, extent, runs, report)
    except KeyboardInterrupt:
        note(f"Interrupted. The same command resumes from {runs}.")
        raise
    if found.results:
        show_table(page.verdict_headings(choice), page.verdict_rows(found), left=(0, 1, 2, 3))
    if found.results and found.yardstick:
        typer.echo()
    if found.yardstick:
        show_table(page.YARDSTICK_HEADINGS, page.yardstick_rows(found.yardstick))
    if out is None:
        note("Values and tests: give a file with --out.")
    if out is not None:
        picture = out.with_suffix(".svg") if figure.has_streams(found) else None
        if picture is not None:
            with whole_file(picture) as file:
                file.write_text(svg_text(figure.robustness(found), picture.stem), "utf-8")
        command = shlex.join(["lnn", *sys.argv[1:]])
        with whole_file(out) as file:
            file.write_text(page.markdown(found, command, picture.name if picture else ""), "utf-8")
        say(f"written to {out}")
