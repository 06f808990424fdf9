"""Check arguments, with an error that helps."""

import difflib
import math
from collections.abc import Iterable


def require_choice(kind: str, name: str, allowed: Iterable[str]) -> str:
    """Return `name` if it is one of `allowed`.

    Args:
        kind: What is being chosen, for the message: "solver", "preset", ...
        name: The name received.
        allowed: The names that exist.

    Raises:
        ValueError: `name` is not allowed; the message names what came, what is
            allowed and the nearest match, if any is near.
    """
    allowed = sorted(allowed)
    if name in allowed:
        return name
    nearest = difflib.get_close_matches(str(name), allowed, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"Unknown {kind} {name!r}; allowed: {', '.join(allowed)}.{hint}")


def require_at_least(least: int, argument: str, value: int) -> int:
    """Return `value` if it is an integer of at least `least`.

    Raises:
        ValueError: It is not; the message names the argument and what came.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise ValueError(
            f"`{argument}` must be an integer of at least {least}; received {value!r}."
        )
    return int(value)


def require_positive(argument: str, value: float) -> float:
    """Return `value` if it is a finite number above 0.

    Raises:
        ValueError: It is not; the message names the argument and what came.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (is_number and math.isfinite(value) and value > 0):
        raise ValueError(f"`{argument}` must be a finite number above 0; received {value!r}.")
    return float(value)
