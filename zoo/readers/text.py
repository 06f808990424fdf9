"""Text from strangers, without the characters that control a terminal."""

import unicodedata
from typing import Any

# Control characters, lone surrogates, and characters that reorder text (bidirectional controls).
_CONTROL_CATEGORIES = ("Cc", "Cs")
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_control(character: str) -> bool:
    """Whether a character controls a terminal or reorders text, or is half a character."""
    return (
        unicodedata.category(character) in _CONTROL_CATEGORIES
        or character in _REORDERING
        or character in "\u2028\u2029"
    )


def has_control(text: str) -> bool:
    """Whether a text holds such a character."""
    return not text.isprintable() and any(map(is_control, text))


def printable(text: str, keep: str = "") -> str:
    """A text without such characters.

    Args:
        text: The text.
        keep: Characters that stay, for example line breaks.
    """
    if text.isprintable():
        return text
    return "".join(c for c in text if c in keep or not is_control(c))


def printable_values(value: Any) -> Any:
    """A value of JSON with all its texts, and its keys, made printable."""
    if isinstance(value, str):
        return printable(value, keep="\n\t")
    if isinstance(value, list):
        return [printable_values(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): printable_values(item) for key, item in value.items()}
    return value
