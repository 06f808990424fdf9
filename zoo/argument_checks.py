"""Argument checks that do not import Keras, which importing `lnn_keras` does."""

import difflib
from collections.abc import Iterable


def require_choice(kind: str, name: str, allowed: Iterable[str]) -> str:
    """Return `name` if it is one of `allowed`, as `lnn_keras.argument_checks.require_choice` does.

    Args:
        kind: The kind of choice, for the message: "preset", "split", ...
        name: The name received.
        allowed: The names that exist.

    Raises:
        ValueError: `name` is not allowed. The message lists the allowed names and the nearest one.
    """
    allowed = sorted(allowed)
    if name in allowed:
        return name
    nearest = difflib.get_close_matches(str(name), allowed, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"Unknown {kind} {name!r}; allowed: {', '.join(allowed)}.{hint}")
