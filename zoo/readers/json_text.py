"""JSON in UTF-8 of limited depth, with finite numbers and without repeated keys."""

import json
import math
from pathlib import Path
from typing import Any

from zoo.readers import files
from zoo.readers.files import FileError, reason, shown

MAX_JSON_BYTES = 16 << 20
MAX_DEPTH = 100
# Identities of objects and seeds have up to 64 bits.
MAX_INTEGER = 1 << 64


def read_object(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        FileError: There is no such file, or it holds no such object.
    """
    return parse_object(files.content(path, MAX_JSON_BYTES), shown(path))


def parse_object(content: bytes, name: str) -> dict[str, Any]:
    """The JSON object in the content of a file.

    Args:
        content: The bytes.
        name: Name of the file or address, for errors.

    Raises:
        FileError: The content is too large, not JSON, or not an object; a key is repeated; a number
            is not finite or has more than 64 bits; or it is nested too deeply.
    """
    if len(content) > MAX_JSON_BYTES:
        raise FileError(f"{name} holds {len(content):,} bytes; the limit is {MAX_JSON_BYTES:,}.")
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_unique, parse_int=_integer)
    except RecursionError:
        raise FileError(f"{name} is nested more than {MAX_DEPTH} levels deep.") from None
    except UnicodeDecodeError as error:
        raise FileError(f"{name} holds no JSON: it is not text in UTF-8.") from error
    except (ValueError, MemoryError) as error:
        raise FileError(f"{name} holds no valid JSON: {reason(error)}.") from error
    if not isinstance(value, dict):
        raise FileError(f"{name} must hold a JSON object; it holds {_kind(value)}.")
    fault = _fault(value)
    if fault:
        raise FileError(f"{name} {fault}.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {max(keys, key=keys.count)[:40]!r} is repeated")
    return found


def _integer(text: str) -> int:
    if len(text) > len(str(MAX_INTEGER)):
        raise ValueError("it holds an integer of more than 64 bits")
    return int(text)


def _fault(value: Any) -> str | None:
    """The first fault of a parsed value; without recursion, since it may be deep."""
    stack = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_DEPTH:
            return f"is nested more than {MAX_DEPTH} levels deep"
        if isinstance(item, dict):
            stack += [(key, depth) for key in item]
            stack += [(inner, depth + 1) for inner in item.values()]
        elif isinstance(item, list):
            stack += [(inner, depth + 1) for inner in item]
        elif isinstance(item, float) and not math.isfinite(item):
            return "holds a number that is not finite"
        elif isinstance(item, int) and abs(item) >= MAX_INTEGER:
            return "holds an integer of more than 64 bits"
        elif isinstance(item, str) and any("\ud800" <= c <= "\udfff" for c in item):
            return "holds half a character (a lone surrogate)"
    return None


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
