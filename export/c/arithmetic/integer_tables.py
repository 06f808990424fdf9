"""Functions of one argument by table."""

from __future__ import annotations

import math

import numpy as np

from export.c.arithmetic.expressions import Expression, Table
from export.c.arithmetic.rescaling import BITS, fraction_of, to_fraction
from export.c.graph.nodes import FUNCTIONS

TABULATED = ("exp", "log", "softplus", "erf", "sin", "cos")
MAX_TABLE = 1024
TABLE_FRACTION_BITS = 20
EXP_SPAN, EXP_MARGIN = 11.1, 0.22  # 2^-16 = exp(-11.1), 1.25 = exp(0.22)


def tabulated(
    operation: str, e: Expression, range_: tuple[float, float], number: int
) -> Expression:
    """A function by table, on the calibrated range of its argument.

    Args:
        operation: A key of `TABULATED`.
        e: The argument.
        range_: Its least and greatest value on the calibration data.
        number: A number that tells the tables of a program apart.
    """
    function = FUNCTIONS[operation]
    low, high = _table_range(operation, range_, e)
    fraction = fraction_of(max(abs(low), abs(high), high - low), TABLE_FRACTION_BITS)
    e = to_fraction(e, min(fraction, e.fraction + BITS - e.bits))
    first, last = math.floor(low * 2.0**e.fraction), math.ceil(high * 2.0**e.fraction)
    shift = max(0, math.ceil(math.log2(max(1, last - first) / (MAX_TABLE / 2))))
    shift = min(shift, 14)
    count = ((last - first) >> shift) + 2
    points = (first + (np.arange(count) << shift)) / 2.0**e.fraction
    results = function(np.maximum(points, 2.0**-30) if operation == "log" else points)
    out = fraction_of(np.abs(results).max(), 15)
    values = np.clip(np.round(results * 2.0**out), -32768, 32767).astype("int64")
    table = Table(f"{operation}_{number}", values, first, shift)
    return Expression(
        "table", (e,), fraction=out, low=int(values.min()), high=int(values.max()), table=table
    )


def _table_range(operation, range_, e: Expression) -> tuple[float, float]:
    """The calibrated range, wider by a fourth, within what the expression can take."""
    low, high = range_
    margin = 0.25 * (high - low) + 1e-6
    bounds = (e.low / 2.0**e.fraction, e.high / 2.0**e.fraction)
    low, high = max(low - margin, bounds[0]), min(high + margin, bounds[1])
    if operation == "exp":
        # A result that is a fourth greater; smaller ones are 0 next to the greatest one.
        high = min(high, range_[1] + EXP_MARGIN)
        low = max(low, high - EXP_SPAN)
    if operation == "log":
        low = max(low, min(range_[0] / 2, high / 2), 2.0**-20)
    return low, max(high, low + 1e-6)
