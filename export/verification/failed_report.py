"""The report of a failed export, in a folder next to the one that was asked for."""

import shutil
from pathlib import Path

from export.verification.report import Report
from export.verification.report_files import write_report
from lnn_keras.atomic_folder import whole_folder

FAILED = ".failed"


def write_failed_report(report: Report, directory: str | Path) -> Path:
    """Write report.json and report.html to the folder `directory` + ".failed"; return it.

    Raises:
        OSError: The folder cannot be written.
    """
    folder = Path(f"{directory}{FAILED}")
    with whole_folder(folder, proof="report.json") as temporary:
        write_report(temporary, report)
    return folder


def remove_failed_report(directory: str | Path) -> None:
    """Remove the report of an earlier failed export to `directory`, if there is one."""
    folder = Path(f"{directory}{FAILED}")
    if folder.is_dir() and {path.name for path in folder.iterdir()} == {
        "report.json",
        "report.html",
    }:
        shutil.rmtree(folder)
