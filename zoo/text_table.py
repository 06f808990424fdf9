"""Tables as plain text, in which no cell is cut: where columns do not fit, each row is a list."""

from collections.abc import Collection, Sequence
from itertools import zip_longest

_GAP = "  "


def text_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None = None,
    left: Collection[int] = (0,),
) -> str:
    """A table as text, with a rule below the headings.

    Args:
        headings: The headings of the columns; like cells, they can have several lines.
        rows: The cells of each row.
        width: Characters of a line. In a wider table each row becomes a list of its cells, with
            the headings before them. None: lines can have any length.
        left: Indices of the columns that are aligned to the left; others are aligned to the right.
            If the first column is one of them, its cells are the titles of the lists.

    Returns:
        Lines without trailing spaces.

    Example:
        >>> print(text_table(["model", "RMSE"], [["liquid", "1.42"], ["lstm", "1.5"]]))
        model   RMSE
        ────────────
        liquid  1.42
        lstm     1.5
        >>> print(text_table(["model", "RMSE"], [["liquid", "1.42"]], width=10))
        liquid
          RMSE  1.42
    """
    widths = [
        max(len(line) for cell in column for line in cell.split("\n"))
        for column in zip(headings, *rows, strict=True)
    ]
    total = sum(widths) + len(_GAP) * (len(widths) - 1)
    if width is not None and total > width:
        has_titles = 0 in left
        lists = [_as_list(headings, row, has_titles) for row in rows]
        return ("\n" if has_titles else "\n\n").join(lists)
    has_tall_rows = any("\n" in cell for row in rows for cell in row)
    header = _aligned(headings, widths, left, from_top=False)
    bodies = [_aligned(row, widths, left) for row in rows]
    separator = "\n\n" if has_tall_rows else "\n"
    return f"{header}\n{'─' * total}\n{separator.join(bodies)}".rstrip("\n")


def _aligned(
    cells: Sequence[str], widths: Sequence[int], left: Collection[int], from_top: bool = True
) -> str:
    """The lines of a row; cells with fewer lines than others start at the top, or end below."""
    columns = [cell.split("\n") for cell in cells]
    height = max(map(len, columns))
    lines = []
    for number in range(height):
        texts = []
        for index, (column, size) in enumerate(zip(columns, widths, strict=True)):
            place = number if from_top else number - height + len(column)
            text = column[place] if 0 <= place < len(column) else ""
            texts.append(text.ljust(size) if index in left else text.rjust(size))
        lines.append(_GAP.join(texts).rstrip())
    return "\n".join(lines)


def _as_list(headings: Sequence[str], row: Sequence[str], has_title: bool) -> str:
    """The cells of a row that are not empty, one below the other."""
    listed = [_pairs(heading, cell) for heading, cell in zip(headings, row, strict=True)]
    pairs = [pair for lines in listed[has_title:] for pair in lines if pair[1]]
    size = max((len(heading) for heading, _ in pairs), default=0)
    lines = [f"{heading:<{size}}{_GAP}{text}" for heading, text in pairs]
    if has_title:
        lines = [" ".join(row[0].split("\n")), *(_GAP + line for line in lines)]
    return "\n".join(lines)


def _pairs(heading: str, cell: str) -> list[tuple[str, str]]:
    """The lines of a heading and of its cell: side by side if they are as many."""
    names, texts = heading.split("\n"), cell.split("\n")
    if len(names) != len(texts):
        names = [" ".join(names)]
    return list(zip_longest(names, texts, fillvalue=""))
