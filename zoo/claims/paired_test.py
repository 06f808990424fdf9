"""Paired tests of liquid against stock layers: Wilcoxon's signed ranks, with Holm's correction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zoo.claims.claims import GROUPS, Claim, Measure
from zoo.extras import extra

LEVEL = 0.05
# With fewer pairs that differ, no result of the test is below the level.
FEWEST_PAIRS = 6
BETTER, WORSE, EQUAL, UNDECIDED = "better", "worse", "no difference", "too few pairs"
ALL_TASKS = "all tasks"

# Values of a measure by task and layer: (seeds, pairs).
Table = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Comparison:
    """A liquid layer against the stock layer with the least mean.

    Attributes:
        measure: The measure.
        task: Name of the task, or `ALL_TASKS`.
        layer: The liquid layer.
        reference: The stock layer.
        mean: Mean of the liquid layer.
        reference_mean: Mean of the stock layer.
        pairs: Number of pairs.
        wins: Number of pairs in which the liquid layer has less.
        p: Two-sided p of Wilcoxon's signed-rank test.
        is_less: Whether the ranks of the differences are in favour of the liquid layer.
        adjusted_p: The same p after Holm's correction for all tests of a layer and a claim.
        outcome: `BETTER`, `WORSE`, `EQUAL` or `UNDECIDED`.
    """

    measure: Measure
    task: str
    layer: str
    reference: str
    mean: float
    reference_mean: float
    pairs: int
    wins: int
    p: float
    is_less: bool
    adjusted_p: float = 1.0
    outcome: str = EQUAL


def comparisons(
    claim: Claim, tables: Mapping[str, Table], layer: str, stock: Sequence[str]
) -> list[Comparison]:
    """All tests of a liquid layer in a claim.

    Args:
        claim: The claim.
        tables: Values by the keys of measures. Those that could not be measured are missing.
        layer: The liquid layer.
        stock: The stock layers.
    """
    found = []
    for measure in claim.measures:
        table = tables.get(measure.key)
        if not table:
            continue
        parts = {task: table[task] for task in table} if measure.pairs == GROUPS else {}
        if measure.pairs != GROUPS:
            joined = {
                name: np.concatenate([np.ravel(layers[name]) for layers in table.values()])
                for name in (layer, *stock)
            }
            parts = {ALL_TASKS: joined}
        found += [_compared(measure, task, part, layer, stock) for task, part in parts.items()]
    return holm(found)


def _compared(
    measure: Measure,
    task: str,
    values: Mapping[str, np.ndarray],
    layer: str,
    stock: Sequence[str],
) -> Comparison:
    pairs = {
        name: values[name].mean(axis=0) if measure.pairs == GROUPS else values[name]
        for name in (layer, *stock)
    }
    reference = min(stock, key=lambda name: float(pairs[name].mean()))
    differences = pairs[layer] - pairs[reference]
    p, is_less = signed_rank(differences)
    return Comparison(
        measure,
        task,
        layer,
        reference,
        float(pairs[layer].mean()),
        float(pairs[reference].mean()),
        len(differences),
        int((differences < 0).sum()),
        p,
        is_less,
    )


def signed_rank(differences: np.ndarray) -> tuple[float, bool]:
    """Wilcoxon's signed-rank test.

    Args:
        differences: The differences of the pairs. Those of 0 are left out.

    Returns:
        The two-sided p, and whether negative differences have the larger ranks. p is NaN with
        fewer than `FEWEST_PAIRS` pairs, and 1 if fewer than that differ.
    """
    with extra("zoo"):
        from scipy.stats import rankdata, wilcoxon

    if len(differences) < FEWEST_PAIRS:
        return float("nan"), False
    nonzero = differences[differences != 0]
    if len(nonzero) < FEWEST_PAIRS:
        return 1.0, False
    ranks: np.ndarray = rankdata(np.abs(nonzero))
    is_less = ranks[nonzero < 0].sum() > ranks[nonzero > 0].sum()
    result: Any = wilcoxon(nonzero)
    return float(result.pvalue), bool(is_less)


def holm(found: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with p adjusted by Holm's step-down method, and their outcomes."""
    order = sorted(range(len(found)), key=lambda i: _or_one(found[i].p))
    count = sum(np.isfinite(comparison.p) for comparison in found)
    adjusted, largest = list(found), 0.0
    for rank, index in enumerate(order):
        comparison = found[index]
        if np.isnan(comparison.p):
            adjusted[index] = replace(comparison, adjusted_p=float("nan"), outcome=UNDECIDED)
            continue
        largest = max(largest, min(1.0, (count - rank) * comparison.p))
        outcome = EQUAL
        if largest < LEVEL:
            outcome = BETTER if comparison.is_less else WORSE
        adjusted[index] = replace(comparison, adjusted_p=largest, outcome=outcome)
    return adjusted


def _or_one(p: float) -> float:
    return 2.0 if np.isnan(p) else p
