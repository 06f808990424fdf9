"""The order of the rows of a table by their times."""

import numpy as np

from zoo.readers.table import Table
from zoo.readers.time_column import Times

DUPLICATES = ("refuse", "keep", "first", "last")


def in_order(
    table: Table, times: Times, groups: np.ndarray, duplicates: str, sort: bool
) -> np.ndarray:
    """The rows of a table in the order of their times within each group.

    Args:
        table: The table.
        times: Its times.
        groups: The group of each row, as numbers from 0 in the order of their first rows.
        duplicates: "refuse" rows of one group with one time, "keep" them all, or keep the "first"
            or the "last" of them.
        sort: Whether to sort the rows; otherwise they must be in order.

    Returns:
        Positions of rows, with the rows of each group one after the other.

    Raises:
        ValueError: Rows are not in order, or have one time. The message counts them.
    """
    order = np.argsort(groups, kind="stable")
    if sort:
        order = np.lexsort((times.values, groups))
    same = groups[order][1:] == groups[order][:-1]
    gaps = np.diff(times.values[order])
    back = np.flatnonzero(same & (gaps < 0))
    if len(back):
        raise ValueError(
            f"{table.name}: {len(back):,} times are earlier than the one before, the first in "
            f"{table.place(order[back[0] + 1])}; sort the rows, or use --sort (sort=True). If the "
            "table holds several recordings, name the column that tells them apart with --group."
        )
    repeated = same & (gaps == 0)
    if not repeated.any() or duplicates == "keep":
        return order
    if duplicates == "refuse":
        first = np.flatnonzero(repeated)[0]
        raise ValueError(
            f"{table.name}: {int(repeated.sum()):,} times occur more than once, the first again in "
            f"{table.place(order[first + 1])}; choose the rows to use with --duplicates first, "
            "last or keep. If the table holds several recordings, name their column with --group."
        )
    drop = np.append(False, repeated) if duplicates == "first" else np.append(repeated, False)
    return order[~drop]
