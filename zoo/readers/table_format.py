"""The format of a table in a text file: encoding, separator of the cells, and decimal mark."""

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.readers.files import FileError, reason, shown

SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_BYTES = 1 << 18
_SAMPLE_ROWS = 50
_POINT = re.compile(r"[+-]?[0-9]*\.[0-9]+([eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class TableFormat:
    """How a table is written as text.

    Attributes:
        encoding: The encoding of the text, as Python names it.
        separator: The character between the cells.
        decimal: The decimal mark of the numbers, "." or ",".
        rows: About how many rows the file has, from its size and its first lines.
        blank_lines: Number of blank lines above the header.
    """

    encoding: str
    separator: str
    decimal: str
    rows: int
    blank_lines: int


def detect(path: Path) -> TableFormat:
    """Detect the format of a text file from its first lines.

    Raises:
        FileError: The file is empty, holds no text, or its first line is longer than any header.
    """
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    if not sample.strip():
        raise FileError(f"{shown(path)} is empty: it holds no header line.")
    encoding = _encoding(sample)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(sample)
    if "\0" in text:
        raise FileError(f"{shown(path)} is no table: it holds NUL characters.")
    is_whole = len(sample) < _SAMPLE_BYTES
    # Unlike str.splitlines, this ends lines at line feeds and carriage returns only.
    lines = list(io.StringIO(text, newline=""))
    if not is_whole:
        # The last line of a part of the file can be cut off.
        lines = lines[:-1]
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise FileError(
            f"{shown(path)} is no table: its first line is longer than {_SAMPLE_BYTES:,} bytes."
        )
    rows_in_sample = max(len(lines) - 1, 1)
    rows = rows_in_sample if is_whole else path.stat().st_size * rows_in_sample // len(sample)
    first = filled[:_SAMPLE_ROWS]
    separator = max(SEPARATORS, key=lambda candidate: _agreement(first, candidate))
    blank_lines = lines.index(filled[0])
    return TableFormat(encoding, separator, _decimal(filled, separator), rows, blank_lines)


def rows(path: Path, form: TableFormat) -> Iterator[tuple[int, list[str]]]:
    """The header and all rows of a text file, blank ones too, each with its last line's number.

    Raises:
        FileError: A cell is too long.
    """
    with path.open(encoding=form.encoding, newline="") as lines:
        reader = csv.reader(lines, delimiter=form.separator)
        try:
            for row in itertools.islice(reader, form.blank_lines, None):
                yield reader.line_num, row
        except csv.Error as error:
            raise FileError(
                f"{shown(path)} is no table: line {reader.line_num:,}: {reason(error)}."
            ) from error


def _encoding(sample: bytes) -> str:
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def _agreement(lines: list[str], separator: str) -> tuple[int, int]:
    """How many lines have as many cells as the header, and how many cells those are."""
    counts = [len(cells) for cells in _cells(lines, separator)]
    if not counts or counts[0] < 2:
        return 0, 0
    return sum(count == counts[0] for count in counts), counts[0]


def _decimal(lines: list[str], separator: str) -> str:
    if separator == ",":
        return "."
    cells = [cell.strip() for row in _cells(lines[1:], separator) for cell in row]
    commas, points = (sum(map(bool, map(m.fullmatch, cells))) for m in (_COMMA, _POINT))
    return "," if commas > points else "."


def _cells(lines: list[str], separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO("".join(lines), newline=""), delimiter=separator))
    except csv.Error:
        return []
