"""Training, validation and test parts of a table: by time or by group, never shuffled across."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from zoo.tables.columns import Columns, shown_names
from zoo.tables.sequences import TableSequence, no_target

# Shares of the training and of the validation part; the rest is the test part.
TRAINING, VALIDATION = 0.7, 0.15
MIN_GROUPS = 3
PARTS = ("train", "validation", "test")
Parts = dict[str, list[TableSequence]]


def split(sequences: Sequence[TableSequence], columns: Columns, seed: int) -> Parts:
    """Split sequences into three parts.

    With at least three groups, each group is in one part, drawn from a seed; where each group has
    one class, each part gets its share of each class. With fewer groups, the first 70 % of the
    rows of each are for training, the next 15 % for validation and the last 15 % for testing.

    Raises:
        ValueError: A class has fewer than three groups, or a group is too short.
    """
    if len(sequences) < MIN_GROUPS:
        return _by_time(sequences, columns.horizon)
    if columns.per_group:
        return _by_class(sequences, columns, seed)
    return _by_group(list(sequences), seed)


def _by_time(sequences: Sequence[TableSequence], horizon: int) -> Parts:
    parts: Parts = {name: [] for name in PARTS}
    for sequence in sequences:
        rows = len(sequence)
        first, second = int(TRAINING * rows), int((TRAINING + VALIDATION) * rows)
        bounds = (slice(0, first), slice(first, second), slice(second, rows))
        for name, part in zip(PARTS, bounds, strict=True):
            parts[name].append(sequence.part(part))
    if horizon:
        # Targets of the last rows of a part lie in the next part.
        for part in parts["train"] + parts["validation"]:
            part.targets[-horizon:] = no_target(part.targets)
    return parts


def _by_group(sequences: list[TableSequence], seed: int) -> Parts:
    order = np.random.default_rng(seed).permutation(len(sequences))
    held = max(1, round(VALIDATION * len(sequences)))
    names = ["validation"] * held + ["test"] * held + ["train"] * (len(sequences) - 2 * held)
    parts: Parts = {name: [] for name in PARTS}
    for index, name in zip(order, names, strict=True):
        parts[name].append(sequences[index])
    return parts


def _by_class(sequences: Sequence[TableSequence], columns: Columns, seed: int) -> Parts:
    of_class = defaultdict(list)
    for sequence in sequences:
        labels = sequence.targets[sequence.targets >= 0]
        if len(labels):
            of_class[int(labels[0])].append(sequence)
    few = [columns.classes[label] for label, found in of_class.items() if len(found) < MIN_GROUPS]
    if few:
        raise ValueError(
            f"Class {shown_names(few)} of column {columns.targets[0]!r} has fewer than "
            f"{MIN_GROUPS} groups; each class needs one for training, one for validation and one "
            "for testing."
        )
    parts: Parts = {name: [] for name in PARTS}
    for label in sorted(of_class):
        for name, found in _by_group(of_class[label], seed).items():
            parts[name] += found
    return parts


def windows(sequences: Sequence[TableSequence], length: int) -> list[TableSequence]:
    """Overlapping parts of `length` rows, half of it apart; shorter sequences stay whole."""
    parts = []
    for sequence in sequences:
        last = max(len(sequence) - length, 0)
        starts = [*range(0, last, max(length // 2, 1)), last]
        parts += [sequence.part(slice(start, start + length)) for start in starts]
    return parts
