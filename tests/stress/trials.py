"""Trials: hypothesis draws inputs with a fixed seed, and a check says which of them failed."""

from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
from hypothesis import strategies as st

from tests.stress.kinds import Result

# Errors that the command line prints in one line.
USER_ERRORS = (ValueError, OSError, RuntimeError)


def run_trials(
    strategy: st.SearchStrategy, check: Callable[[Any], str | None], count: int, seed: int
) -> Result:
    """Check `count` inputs. A trial that fails does not stop the run."""
    result = Result()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def trial(example):
        result.add(check(example))

    trial()
    return result


def unclear_error(
    function: Callable[[], object],
    named: str,
    errors: Sequence[type[Exception]] = USER_ERRORS,
) -> str | None:
    """Call a function, which may succeed or raise one clear error.

    Args:
        function: The function.
        named: The text that the message must contain, such as the name of the file.
        errors: The exact types of the errors that it may raise.

    Returns:
        None, or why the error is not clear: another type, several lines, or `named` is missing.
    """
    try:
        function()
    except Exception as error:
        message, kind = str(error), type(error)
        if not any(kind is known or kind.__mro__[1] is known for known in errors):
            return f"{kind.__name__}: {message[:200]!r}"
        if "\n" in message.strip() or not message.strip():
            return f"{kind.__name__} of {len(message.splitlines())} lines: {message[:200]!r}"
        if named not in message:
            return f"{kind.__name__} does not name {named}: {message[:200]!r}"
    return None


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes with one to four edits: flipped bits, overwritten, removed or repeated parts, a cut."""
    for _ in range(draw(st.integers(1, 4))):
        if not content:
            return content
        start = draw(st.integers(0, len(content) - 1))
        size = draw(st.sampled_from([1, 2, 4, 8, 64, 512]))
        edit = draw(st.sampled_from(["bit", "overwrite", "remove", "repeat", "zero", "cut"]))
        head, part, tail = content[:start], content[start : start + size], content[start + size :]
        if edit == "bit":
            flipped = content[start] ^ (1 << draw(st.integers(0, 7)))
            content = head + bytes([flipped]) + content[start + 1 :]
        elif edit == "overwrite":
            content = head + draw(st.binary(min_size=len(part), max_size=len(part))) + tail
        elif edit == "remove":
            content = head + tail
        elif edit == "repeat":
            content = head + part * draw(st.integers(2, 5)) + tail
        elif edit == "zero":
            content = head + bytes(len(part)) + tail
        else:
            content = head
    return content


# Values that a stranger puts into a JSON file.
JSON_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2**31, 2**63, 10**9, 10**30, 1e308, float("inf"), float("nan")]),
    st.sampled_from(["", "..", "../x", "/etc/passwd", "Lambda", "keras", "\x1b[31m", "a" * 10_000]),
    st.sampled_from([[], {}, [[]], [None], {"": None}, [1e9], {"class_name": "Lambda"}]),
    st.text(max_size=20),
)


@st.composite
def damaged_json(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value with one to three nodes replaced, removed or added."""
    for _ in range(draw(st.integers(1, 3))):
        value = _edited(draw, value)
    return value


def _edited(draw: st.DrawFn, value: Any, depth: int = 0) -> Any:
    """A copy of a JSON value with one edit, somewhere below."""
    descend = isinstance(value, dict | list) and len(value) > 0 and draw(st.integers(0, 9)) > 0
    if not descend:
        return draw(JSON_VALUES)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = draw(st.sampled_from(keys))
    copy = dict(value) if isinstance(value, dict) else list(value)
    edit = draw(st.sampled_from(["inside", "inside", "inside", "inside", "remove", "add"]))
    if edit == "remove":
        del copy[key]
    elif edit == "add" and isinstance(copy, dict):
        copy[draw(st.sampled_from(["extra", "module", "registered_name", "dtype"]))] = draw(
            JSON_VALUES
        )
    elif edit == "add":
        copy.insert(key, draw(JSON_VALUES))
    else:
        copy[key] = _edited(draw, value[key], depth + 1)
    return copy
