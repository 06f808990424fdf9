"""Arguments and options that several commands share, and their output."""

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.text_table import text_table

if TYPE_CHECKING:
    from rich.console import Console


Source = Annotated[
    str, typer.Argument(help="Name, folder or address of a preset, or a .keras file.")
]
PresetName = Annotated[str, typer.Argument(help="Name of a preset, see `lnn presets`.")]
# The readers say in one line why a file cannot be read; Typer would print a box.
InputFile = Annotated[
    Path | None,
    typer.Option("--input", readable=False, help="File of inputs: .npz, .npy, or a table."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
MaxRows = Annotated[int, typer.Option(help="Largest number of rows of a table to read.", min=1)]
Sort = Annotated[bool, typer.Option("--sort", help="Sort the rows of a table by time.")]
MaxSteps = Annotated[int, typer.Option(help="Maximum number of closed-loop steps to verify.")]
RunsFolder = Annotated[Path, typer.Option(help="Folder of all runs.")]


def console() -> "Console":
    """A console on stdout."""
    from rich.console import Console

    return Console()


def say(text: str) -> None:
    """Print text without highlighting and without hard line breaks."""
    console().print(text, highlight=False, soft_wrap=True)


def show_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = (0,)
) -> None:
    """Print a table; a terminal that is too narrow gets a list of cells for each row.

    Args:
        headings: The headings of the columns.
        rows: The cells of each row.
        left: Indices of the columns that are aligned to the left.
    """
    output = console()
    # A file or a pipe has no width.
    width = output.width if output.is_terminal else None
    typer.echo(text_table(headings, rows, width, left))


def note(text: str) -> None:
    """Print a remark on stderr, so that stdout holds results only."""
    from rich.console import Console

    Console(stderr=True).print(f"note: {text}", highlight=False, soft_wrap=True, markup=False)


@contextlib.contextmanager
def training_bar(by_epoch: bool = False) -> Iterator[Callable[[str, int, int, float], None]]:
    """Yield a function that shows how far a training has come, and the time that is left.

    Its arguments are the name of the model, the epochs done, their largest number, and the
    validation loss. On a terminal it moves a bar, elsewhere it prints lines, on stderr.

    Args:
        by_epoch: Whether to print a line per epoch; by default about ten per model.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    errors = Console(stderr=True)
    if not errors.is_terminal:
        yield _EpochLines(errors, by_epoch)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
        TextColumn("loss {task.fields[loss]:.4g}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def move(model: str, epoch: int, epochs: int, loss: float) -> None:
            if model not in tasks:
                tasks[model] = bar.add_task(model, total=epochs, loss=loss)
            bar.update(tasks[model], completed=epoch, loss=loss)

        yield move


class _EpochLines:
    """Prints a line for some epochs, with the time that the others will take at most."""

    def __init__(self, console: "Console", every: bool):
        self._console, self._every = console, every
        self._started: dict[str, tuple[float, int]] = {}

    def __call__(self, model: str, epoch: int, epochs: int, loss: float) -> None:
        start, first = self._started.setdefault(model, (time.monotonic(), epoch))
        is_shown = self._every or epoch in (first, epochs) or epoch % max(1, epochs // 10) == 0
        if not is_shown:
            return
        left = (time.monotonic() - start) / max(epoch - first, 1) * (epochs - epoch)
        about = f", at most {left:.0f} s left" if epoch > first else ""
        self._console.print(
            f"{model}: epoch {epoch}/{epochs}, validation loss {loss:.4g}{about}",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )


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


@contextlib.contextmanager
def measurement_lines() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is measured, on stderr: a status, or lines in a file."""
    from rich.console import Console

    errors = Console(stderr=True)
    if errors.is_terminal:
        with errors.status("Starting") as status:
            yield status.update
        return

    def print_line(sentence: str) -> None:
        errors.print(sentence, highlight=False, soft_wrap=True, markup=False)

    yield print_line
