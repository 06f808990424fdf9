"""Tables in a terminal or a file, in which no cell is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Wider than any table.
_UNLIMITED = 100_000


def print_table(console: Console, table: Table) -> None:
    """Print a table; a terminal that is too narrow gets a list of cells for each row.

    Args:
        console: The console. One that writes to a file or a pipe gets the table in any case.
        table: The table; its headings are strings.
    """
    from rich.measure import Measurement

    options = console.options.update(width=_UNLIMITED)
    needed = Measurement.get(console, options, table).maximum
    if needed <= console.width:
        console.print(table)
    elif console.is_terminal:
        _print_lists(console, table)
    else:
        width, console.width = console.width, needed
        console.print(table)
        console.width = width


def _print_lists(console: Console, table: Table) -> None:
    """Print the first cell of each row, and below it the others with their headings."""
    from rich.padding import Padding
    from rich.table import Table

    headings = [" ".join(str(column.header).split()) for column in table.columns[1:]]
    for first, *cells in zip(*(column.cells for column in table.columns), strict=True):
        console.print(first, style="bold", highlight=False)
        listed = Table.grid(padding=(0, 2))
        listed.add_column(no_wrap=True)
        for heading, cell in zip(headings, cells, strict=True):
            if str(cell):
                listed.add_row(heading, cell)
        console.print(Padding(listed, (0, 0, 0, 2)))
