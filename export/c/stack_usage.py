"""The stack of a function in C, from the call graph that the compiler writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# Flags of GCC: a file NAME.ci beside the object, with the stack of each function and its calls.
FLAGS = ("-fcallgraph-info=su",)

_NODE = re.compile(r'node: \{ title: "([^"]*)" label: "([^"]*)"')
_EDGE = re.compile(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"')
_BYTES = re.compile(r"(\d+) bytes \(([^)]*)\)")


@dataclass(frozen=True)
class StackUsage:
    """Stack of a function with all functions that it calls.

    Attributes:
        bytes: Bytes along the deepest calls; None if no bound exists, for example by recursion.
        unknown: Called functions whose stack the compiler does not know; they are left out.
    """

    bytes: int | None
    unknown: tuple[str, ...]


def stack_usage(graphs: list[Path], function: str) -> StackUsage:
    """Return the stack of a function.

    Args:
        graphs: The files that the compiler wrote, one per source.
        function: Name of a function in them.

    Raises:
        ValueError: No graph holds the function.
    """
    text = "\n".join(path.read_text("utf-8") for path in graphs)
    own: dict[str, int | None] = {}
    for title, label in _NODE.findall(text):
        found = _BYTES.search(label)
        if found:
            own[title] = int(found[1]) if found[2] != "dynamic" else None
    calls: dict[str, list[str]] = {}
    for source, target in _EDGE.findall(text):
        calls.setdefault(source, []).append(target)
    if function not in own:
        raise ValueError(f"No call graph holds the function {function!r}.")
    unknown: set[str] = set()
    return StackUsage(_depth(function, own, calls, unknown, ()), tuple(sorted(unknown)))


def _depth(
    function: str,
    own: dict[str, int | None],
    calls: dict[str, list[str]],
    unknown: set[str],
    callers: tuple[str, ...],
) -> int | None:
    """The bytes of a function and its deepest calls; None if there is no bound."""
    if function not in own:
        unknown.add(function)
        return 0
    if function in callers or own[function] is None:
        return None
    callers = (*callers, function)
    depths = [_depth(name, own, calls, unknown, callers) for name in calls.get(function, [])]
    bounded = [depth for depth in depths if depth is not None]
    if len(bounded) < len(depths):
        return None
    return (own[function] or 0) + max(bounded, default=0)
