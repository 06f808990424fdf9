"""The entry point of `lnn`: runs a command, and reports errors of the user in one line."""

import sys
from typing import Any

from zoo.extras import MissingExtraError, extra
from zoo.readers.text import printable
from zoo.training.prediction import NotFiniteError


def main() -> None:
    """Run `lnn`. Errors are printed in one line: status 2, or 1 if results are not valid."""
    try:
        with extra("zoo"):
            from zoo.cli.app import app
            from zoo.cli.start import quiet_imports

        quiet_imports()
        app()
    # DataError, CorruptPresetError, DownloadError and VerificationError are RuntimeErrors.
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if isinstance(error, ImportError) and not _names_an_extra(error):
            raise
        report = getattr(error, "report", None)
        if report is not None:
            from rich.console import Console

            report.print(Console())
            print(f"lnn: {_failed(error)}", file=sys.stderr)
            raise SystemExit(1) from error
        # Names and values in files can hold characters that control the terminal.
        text = printable(_sentence(error).strip(), keep="\n") or type(error).__name__
        print(f"lnn: {text}", file=sys.stderr)
        raise SystemExit(1 if isinstance(error, NotFiniteError) else 2) from error


def _sentence(error: Exception) -> str:
    """The message of an error; that of the operating system without its number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    where = "The operating system reports" if error.filename is None else str(error.filename)
    return f"{where}: {error.strerror}."


def _failed(error: Any) -> str:
    """A failed verification in one line; the printed report has the details."""
    where = f" The report is in {error.folder}." if error.folder else ""
    return f"The {error.report.recipe} file of {error.report.model!r} failed verification.{where}"


def _names_an_extra(error: ImportError) -> bool:
    """Whether an error says which extra to install; the package `export` raises plain ones."""
    return isinstance(error, MissingExtraError) or "lnn-keras[" in str(error)
