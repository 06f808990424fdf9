"""The stack of a function in C, from the call graph that the compiler writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# Flags of GCC: a file NAME.ci next to the object, with the stack of each function and its calls.
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


def stack_usage(graphs: list[Path], *functions: str) -> StackUsage:
    """Return the stack of a function; of several, the largest.

    Args:
        graphs: The files that the compiler wrote, one per source.
        *functions: Names of functions in them.

    Raises:
        ValueError: No graph holds a function.
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
    for function in functions:
        if function not in own:
            raise ValueError(f"No call graph holds the function {function!r}.")
    unknown: set[str] = set()
    largest = _largest(list(functions), own, calls, unknown, ())
    return StackUsage(largest, tuple(sorted(unknown)))


def _largest(
    functions: list[str],
    own: dict[str, int | None],
    calls: dict[str, list[str]],
    unknown: set[str],
    callers: tuple[str, ...],
) -> int | None:
    """The bytes of the deepest of functions that are called in turn; None if there is no bound."""
    depths = [_depth(function, own, calls, unknown, callers) for function in functions]
    bounded = [depth for depth in depths if depth is not None]
    return max(bounded, default=0) if len(bounded) == len(depths) else None


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
    stack = own[function]
    if function in callers or stack is None:
        return None
    called = calls.get(function, [])
    deepest = _largest(called, own, calls, unknown, (*callers, function))
    return None if deepest is None else stack + deepest
