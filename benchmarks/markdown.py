"""Markdown pages, tables, lists and number formats of the pages in docs/."""

import re
import textwrap
from typing import Any

LINE_LENGTH = 100
# Headings, tables, lists with "-" or numbers, and indented commands.
_NOT_A_PARAGRAPH = re.compile(r"#|\||- |\d+\. |    ")


def render_page(template: str, **values: Any) -> str:
    """Insert values into a template, and wrap the paragraphs."""
    blocks = template.format(**values).strip().split("\n\n")
    return "\n\n".join(_wrap(block) for block in blocks) + "\n"


def _wrap(block: str) -> str:
    if _NOT_A_PARAGRAPH.match(block):
        return block
    return textwrap.fill(block, LINE_LENGTH, break_long_words=False, break_on_hyphens=False)


def replace_section(text: str, title: str, body: str, level: str = "##") -> str:
    """The sections of a text, with a new body for one of them, which is the last if it is new.

    Args:
        text: Markdown. What precedes its first section is dropped.
        title: The title of the section.
        body: Its new body.
        level: The sign of the headings of the sections.
    """
    bodies = {}
    for section in re.split(f"^{level} ", text, flags=re.MULTILINE)[1:]:
        heading, _, old = section.partition("\n")
        bodies[heading] = old.strip()
    bodies[title] = body
    return "\n\n".join(f"{level} {heading}\n\n{body}" for heading, body in bodies.items())


def table_row(*cells: str) -> str:
    """One row of a table."""
    return f"| {' | '.join(cells)} |"


def table_header(*titles: str) -> list[str]:
    """The title row and the separator row of a table."""
    return [table_row(*titles), table_row(*["---"] * len(titles))]


def list_item(marker: str, text: str) -> str:
    """A list item, wrapped and indented. The marker is "-" or a number with a period."""
    return textwrap.fill(
        text,
        LINE_LENGTH,
        initial_indent=f"{marker} ",
        subsequent_indent=" " * (len(marker) + 1),
        break_long_words=False,
        break_on_hyphens=False,
    )


def percent(ratio: float) -> str:
    """A ratio in percent with three significant digits: 0.0123 -> "1.23 %"."""
    return f"{100 * ratio:.3g} %"
