"""The card of a model in a terminal: Markdown, whose tables are laid out without cutting cells."""

import itertools
import re
from typing import TYPE_CHECKING

from zoo.text_table import text_table

if TYPE_CHECKING:
    from rich.console import Console

_EMPHASIS = re.compile(r"\*\*|`")
_CELL_END = re.compile(r"(?<!\\)\|")


def print_card(console: "Console", card: str) -> None:
    """Print a card; a file or a pipe gets its Markdown.

    Args:
        console: The console.
        card: The card in Markdown.
    """
    from rich.markdown import Markdown
    from rich.text import Text

    if not console.is_terminal:
        console.file.write(card.rstrip("\n") + "\n")
        return
    is_first = True
    for is_table, lines in _parts(card):
        if not is_first:
            console.print()
        is_first = False
        if is_table:
            console.print(Text(_laid_out(lines, console.width)), soft_wrap=True)
        else:
            console.print(Markdown("\n".join(lines)))


def _parts(card: str) -> list[tuple[bool, list[str]]]:
    """The lines of a card in parts: whether a part is a table, and its lines."""
    is_code = False
    marked = []
    for line in card.splitlines():
        is_code ^= line.startswith("```")
        marked.append((not is_code and line.startswith("|"), line))
    grouped = itertools.groupby(marked, key=lambda pair: pair[0])
    parts = [(is_table, [line for _, line in pairs]) for is_table, pairs in grouped]
    return [(is_table, lines) for is_table, lines in parts if any(map(str.strip, lines))]


def _laid_out(lines: list[str], width: int) -> str:
    """A table of Markdown as plain text of some width."""
    headings, _, *rows = [_cells(line) for line in lines] if len(lines) > 1 else [lines, []]
    size = len(headings)
    rows = [[*row, *[""] * size][:size] for row in rows]
    return text_table(headings, rows, width, left=range(size))


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [_EMPHASIS.sub("", cell).replace("\\|", "|").strip() for cell in _CELL_END.split(inner)]
