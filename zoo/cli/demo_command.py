"""The command `lnn demo`."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.options import console
from zoo.cli.start import load_keras


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the export.")] = Path("build"),
) -> None:
    """Predict, export and verify a bundled model; needs no network."""
    load_keras()
    from zoo.cli.demo import run_demo

    if not run_demo(out, console()):
        raise typer.Exit(1)
