"""Sums of products, and sums and maxima of rows, on integers with fractions."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from export.c.arithmetic.expressions import Expression, Rows, Vector
from export.c.arithmetic.integer_operations import multiply_high, product
from export.c.arithmetic.rescaling import BITS, fitting, fraction_of, load, shift_left, within


def dot(
    weights: np.ndarray, vector: Vector, first: int, hint: int | None, weight_bits: int
) -> Expression:
    """weights (rows, columns) @ vector[first:], one row per neuron."""
    largest = max(abs(vector.low), abs(vector.high))
    integers, scales = quantized_rows(weights, weight_bits, largest)
    bound = int(np.abs(integers).sum(axis=1).max()) * largest
    total = Expression(
        "dot",
        values=integers,
        vector=vector,
        index=np.asarray(first),
        low=-bound,
        high=bound,
    )
    return requantized(total, integers, scales, vector, hint)


def sparse_dot(
    weights: np.ndarray, vector: Vector, rows: Rows, index: np.ndarray, hint: int | None
) -> Expression:
    """The sum of weights * vector[index] over each row, both (elements,)."""
    largest = max(abs(vector.low), abs(vector.high), 1)
    dense = [weights[a:b] for a, b in zip(rows.offsets, rows.offsets[1:], strict=False)]
    # The columns of a list take as much memory as its weights, so 16 bits cost little.
    parts = [quantized_rows(row[np.newaxis], 16, largest) for row in dense]
    integers = np.concatenate([part[0][0] for part in parts])
    scales = np.concatenate([part[1] for part in parts])
    sums = [int(np.abs(part[0]).sum()) for part in parts]
    factor = Expression(
        "constant",
        values=integers,
        low=int(integers.min()),
        high=int(integers.max()),
    )
    term = product(factor, load(vector, index))
    bound = max(sums) * largest
    total = Expression("reduce", (term,), rows=rows, low=-bound, high=bound, label="add")
    padded = np.zeros((len(parts), max(len(row) for row in dense)))
    for row, part in zip(padded, parts, strict=True):
        row[: part[0].shape[1]] = part[0][0]
    return requantized(total, padded, scales, vector, hint)


def requantized(total, integers, scales, vector, hint) -> Expression:
    """A sum of products of stored integers as a number with a fraction."""
    largest = max(abs(vector.low), abs(vector.high), 1)
    # Rows of zeros have no scale.
    real = np.where(np.any(integers, axis=1), scales, 0.0) / 2.0**vector.fraction
    bound = (np.abs(integers).sum(axis=1) * largest * real).max()
    fraction = fraction_of(bound, BITS - 1)
    if hint is not None:
        fraction = min(fraction, hint)
    shift = BITS + 1 - max(total.bits, 1)
    factors = real * 2.0**fraction * 2.0 ** (32 - shift)
    while factors.max() > 2.0**31 - 1 and fraction > -31:
        fraction -= 1
        factors /= 2
    multiplier = Expression(
        "constant",
        values=np.round(factors).astype("int64"),
        low=int(np.round(factors.min())),
        high=int(np.round(factors.max())),
    )
    scaled = multiply_high(shift_left(total, shift), multiplier)
    limit = math.ceil(bound * 2.0**fraction) + 1
    return dataclasses.replace(
        scaled,
        fraction=fraction,
        low=max(scaled.low, -limit),
        high=min(scaled.high, limit),
    )


def reduce(operation: str, e: Expression, rows: Rows, range_) -> Expression:
    """The sum or maximum of each row of elements."""
    count = int(np.diff(rows.offsets).max())
    if operation == "add":
        e = fitting(e, BITS - count.bit_length())
        low, high = e.low * count, e.high * count
        low, high = min(low, e.low), max(high, e.high)
    else:
        low, high = e.low, e.high
    result = Expression(
        "reduce", (e,), rows=rows, fraction=e.fraction, low=low, high=high, label=operation
    )
    return within(result, *range_)


def quantized_rows(weights: np.ndarray, bits: int, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return integers (rows, columns) and scales (rows,): weights = integers * scale.

    Args:
        weights: The matrix.
        bits: 8 or 16.
        largest: Greatest magnitude of the integers that a row is multiplied with.
    """
    limit = (1 << (bits - 1)) - 1
    most = np.abs(weights).max(axis=1)
    # The sum of a row must stay in 31 bits for all integers that it can meet.
    sums = np.abs(weights).sum(axis=1)
    room = (2.0**31 - 1) / max(largest, 1) - weights.shape[1]
    scales = np.maximum(most / limit, sums / room)
    scales = np.where(scales > 0, scales, 1.0)
    return np.round(weights / scales[:, np.newaxis]).astype("int64"), scales
