"""The command `lnn profile`: flash, RAM and instructions of a model in C on a board."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.options import AsJson, console, progress
from zoo.cli.start import load_keras

RECIPES = ("float32", "int16x8", "int16")
DEFAULT_RECIPE = "int16x8"


def profile(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder of `lnn export --target c`; or name, folder or address of a preset, or a "
            ".keras file."
        ),
    ],
    board: Annotated[
        str, typer.Option(help="m0plus, m4, m4-plain, m7, m55, rv32, or host: this machine.")
    ] = "m4",
    recipe: Annotated[
        str | None,
        typer.Option(help="For models: float32, int16x8 or int16; default: int16x8."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(readable=False, help="File of typical sequences, for models."),
    ] = None,
    optimize: Annotated[str, typer.Option(help="O2 or Os.")] = "O2",
    clock: Annotated[
        float | None, typer.Option(help="Clock in MHz for the estimates of time and energy.")
    ] = None,
    flash: Annotated[int | None, typer.Option(help="Limit of flash, in bytes.")] = None,
    ram: Annotated[int | None, typer.Option(help="Limit of RAM with stack, in bytes.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model in C on a board: flash, RAM, stack, instructions per step."""
    from export.c import boards
    from export.c.profile import profile as profile_folder
    from zoo.argument_checks import require_choice

    require_choice("board", board, boards.BOARDS)
    require_choice("recipe", recipe or DEFAULT_RECIPE, RECIPES)
    arguments = {"optimize": optimize, "clock": clock, "flash": flash, "ram": ram}
    with tempfile.TemporaryDirectory() as temporary, progress("Profiling") as update:
        folder = Path(source)
        if _holds_c(folder):
            _refuse_export_options(source, recipe, calibration)
        else:
            folder = Path(temporary)
            update("Exporting")
            _export(source, folder, recipe or DEFAULT_RECIPE, calibration)
        update("Replaying")
        result = profile_folder(folder, board, **arguments)
    if as_json:
        typer.echo(result.json())
    else:
        result.print(console())
    if result.hash_equal is False:
        raise typer.Exit(1)


def _holds_c(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "model.json").is_file() or any(folder.glob("*.c")))


def _refuse_export_options(source: str, recipe: str | None, calibration: Path | None) -> None:
    for option, value in (("--recipe", recipe), ("--calibration", calibration)):
        if value is not None:
            raise ValueError(
                f"{source} holds C code already, so `{option}` does not apply; leave it out, or "
                "name a model."
            )


def _export(source: str, folder: Path, recipe: str, calibration: Path | None) -> None:
    """Write the C code of a model to a folder."""
    from zoo.cli import export_arguments

    export_arguments.require_model(source)
    data = _calibration(source, calibration) if recipe != "float32" or calibration else None
    if data is None and recipe != "float32":
        raise ValueError(
            f"Recipe {recipe!r} needs typical sequences: give a file with --calibration, or use "
            "--recipe float32."
        )
    load_keras()
    import export
    from zoo.hub import store

    export.to_c(store.load(source), folder, recipe=recipe, calibration=data)


def _calibration(source: str, path: Path | None) -> Any:
    """Typical sequences: from the user's file, or the samples of the preset."""
    from zoo.cli import input_files

    if path is not None:
        return input_files.read_with_targets(path, source)[0]
    return None if source.endswith(".keras") else input_files.sample(source, "calibration")
