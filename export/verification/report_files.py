"""Writes a report as report.json and report.html, with other texts of an export."""

from collections.abc import Mapping
from pathlib import Path

from export.verification.report import Report
from export.verification.report_html import report_page


def write_report(folder: Path, report: Report, texts: Mapping[str, str] | None = None) -> None:
    """Write a report, and texts by the path of their file in the folder.

    Raises:
        OSError: A file cannot be written.
    """
    for name, text in {**(texts or {}), "report.html": report_page(report)}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    report.save(folder / "report.json")
