"""Numbers and names as C++ text."""

import re
import textwrap
from collections.abc import Iterable


def floating(value: float) -> str:
    """A float literal that reads back to the same 32-bit number."""
    text = f"{value:.9g}"
    return (text if "." in text or "e" in text else text + ".0") + "f"


def number(value: float, dtype: str) -> str:
    """A literal of a tensor's number."""
    return floating(value) if dtype == "float32" else str(int(value))


def lines(items: Iterable[str], per_line: int = 8, indent: str = "    ") -> str:
    """Items with commas, a few on each line."""
    items = list(items)
    return "\n".join(
        indent + ", ".join(items[start : start + per_line]) + ","
        for start in range(0, len(items), per_line)
    )


def comment(text: str) -> str:
    """A name that cannot end or continue the comment that holds it."""
    return re.sub(r"[^\w .:/-]", "_", text)


def comment_lines(text: str) -> str:
    """A sentence or more as comment lines."""
    return textwrap.fill(text, 95, initial_indent="// ", subsequent_indent="// ")
