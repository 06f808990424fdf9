"""Arguments and options that several commands share, and their output."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

Source = Annotated[
    str, typer.Argument(help="Name, folder or address of a preset, or a .keras file.")
]
PresetName = Annotated[str, typer.Argument(help="Name of a preset, see `lnn presets`.")]
InputFile = Annotated[
    Path | None, typer.Option("--input", help="File of inputs: .npz, .npy or .csv.")
]
MaxSteps = Annotated[int, typer.Option(help="Maximum number of closed-loop steps to verify.")]
RunsFolder = Annotated[Path, typer.Option(help="Folder of all runs.")]


def console() -> "Console":
    """A console on stdout."""
    from rich.console import Console

    return Console()


def say(text: str) -> None:
    """Print text without highlighting and without hard line breaks."""
    console().print(text, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def progress(stage: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the stage of the work, on stderr if that is a terminal."""
    from rich.console import Console

    errors = Console(stderr=True)
    if not errors.is_terminal:
        yield lambda sentence: None
        return
    with errors.status(stage) as status:
        yield lambda sentence: status.update(sentence)
