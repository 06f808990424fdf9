"""The verdict about a claim, from the outcomes of its paired tests."""

from collections.abc import Sequence

from zoo.claims.paired_test import BETTER, UNDECIDED, WORSE

HOLDS, FAILS, MIXED, UNKNOWN = "holds", "does not hold", "mixed", "too few runs"
RULE = (
    "A claim holds for a layer if it is better than the best stock layer in at least half of the "
    "tests and worse in none. It does not hold if the layer is better in none. Otherwise the "
    "verdict is mixed. A claim holds, or does not hold, if that is so for every liquid layer; "
    "otherwise it is mixed. Tests with fewer than 6 pairs are not counted; without any other test "
    "there is no verdict."
)


def verdict(outcomes: Sequence[str]) -> str:
    """The verdict about a layer.

    Args:
        outcomes: Outcomes of its paired tests.
    """
    counted = [outcome for outcome in outcomes if outcome != UNDECIDED]
    better, worse = counted.count(BETTER), counted.count(WORSE)
    if not counted:
        return UNKNOWN
    if better == 0:
        return FAILS
    return HOLDS if 2 * better >= len(counted) and worse == 0 else MIXED


def overall(verdicts: Sequence[str]) -> str:
    """The verdict about all liquid layers."""
    different = set(verdicts)
    return different.pop() if len(different) == 1 else MIXED
