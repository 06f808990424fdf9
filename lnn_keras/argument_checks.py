"""Argument checks with error messages that name the argument and the received value."""

import difflib
import math
from collections.abc import Iterable


def require_choice(kind: str, name: str, allowed: Iterable[str]) -> str:
    """Return `name` if it is one of `allowed`.

    Args:
        kind: The kind of thing being chosen, for the message: "solver", "preset", ...
        name: The received name.
        allowed: The valid names.

    Raises:
        ValueError: `name` is not allowed; the message lists the allowed names and suggests
            the closest one.
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
        ValueError: It is not.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise ValueError(
            f"`{argument}` must be an integer of at least {least}; received {value!r}."
        )
    return int(value)


def require_positive(argument: str, value: float) -> float:
    """Return `value` if it is a finite number above 0.

    Raises:
        ValueError: It is not.
    """
    if not (_is_number(value) and math.isfinite(value) and value > 0):
        raise ValueError(f"`{argument}` must be a finite number above 0; received {value!r}.")
    return float(value)


def require_fraction(argument: str, value: float) -> float:
    """Return `value` if it is a number in [0, 1).

    Raises:
        ValueError: It is not.
    """
    if not (_is_number(value) and 0 <= value < 1):
        raise ValueError(f"`{argument}` must be in [0, 1); received {value!r}.")
    return float(value)


def require_portion(argument: str, value: float) -> float:
    """Return `value` if it is a number in (0, 1].

    Raises:
        ValueError: It is not.
    """
    if not (_is_number(value) and 0 < value <= 1):
        raise ValueError(f"`{argument}` must be in (0, 1]; received {value!r}.")
    return float(value)


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
