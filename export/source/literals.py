"""Literals and comments of C++, Kotlin and Swift."""

import re
import textwrap
from collections.abc import Iterable


def float_literal(value: float) -> str:
    """Return a literal that parses to the same 32-bit float."""
    text = f"{value:.9g}"
    return (text if "." in text or "e" in text else text + ".0") + "f"


def number_literal(value: float, dtype: str) -> str:
    """Return a literal of a tensor's element."""
    return float_literal(value) if dtype == "float32" else str(int(value))


def lines(items: Iterable[str], per_line: int = 8, indent: str = "    ") -> str:
    """Return items with commas, several per line."""
    items = list(items)
    return "\n".join(
        indent + ", ".join(items[start : start + per_line]) + ","
        for start in range(0, len(items), per_line)
    )


def comment(text: str) -> str:
    """Return text without characters that could end or continue a comment."""
    return re.sub(r"[^\w .:/-]", "_", text)


def comment_lines(text: str) -> str:
    """Return sentences as wrapped comment lines."""
    return textwrap.fill(text, 95, initial_indent="// ", subsequent_indent="// ")
