"""Which values of the input mattered for the answer, by integrated gradients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnn_keras import inspect
from zoo.explain.subject import Subject
from zoo.explain.variations import Window

# Points of the path from the baseline to the input.
PATH = 16
# Products of steps and features beyond which fewer points are computed.
_MANY = 40_000


@dataclass(frozen=True)
class Influence:
    """The contribution of each value of the signal to the answer.

    Attributes:
        values: (steps, features) in the unit of the answer: by how much a value moved the answer
            from that for a typical signal: the mean of each feature over this sequence, or over
            all sequences (`Subject.typical`).
        start: The first step.
        features: The numbers of the features that contributed most, in this order.
        shares: The share of each of them in the sum of all magnitudes.
    """

    values: np.ndarray
    start: int
    features: tuple[int, ...]
    shares: tuple[float, ...]

    def strongest(self, count: int) -> list[tuple[int, int, float]]:
        """The strongest single contributions: step of the sequence, feature, contribution."""
        order = np.argsort(-np.abs(self.values), axis=None)[:count]
        found = np.stack(np.unravel_index(order, self.values.shape), axis=-1)
        return [(self.start + int(t), int(f), float(self.values[t, f])) for t, f in found]

    def groups(self, names: Sequence[str]) -> list[tuple[str, float]]:
        """The shares of groups of features, the largest first.

        Features that are called "GROUP: NAME" belong together.
        """
        shares: dict[str, float] = {}
        for feature, share in zip(self.features, self.shares, strict=True):
            group = names[feature].partition(": ")[0]
            shares[group] = shares.get(group, 0.0) + share
        return sorted(shares.items(), key=lambda item: -item[1])


def influence(subject: Subject, window: Window) -> Influence | None:
    """The contributions of the signal to the explained output.

    Elapsed times and further inputs are held as they are.

    Returns:
        None if no value moved the answer, or if the gradients are not finite.
    """
    arrays = list(window.inputs.values())
    names = list(window.inputs)
    main = names.index(subject.main)
    baseline = list(arrays)
    typical = subject.typical if subject.typical is not None else mean_of(arrays[main])
    baseline[main] = np.broadcast_to(typical, arrays[main].shape)
    number, index = subject.answer.explained, window.index

    def target(outputs: Any) -> Any:
        at = outputs[:, index] if subject.is_sequence else outputs
        return subject.answer.value(at, number)

    steps = PATH if arrays[main].size <= _MANY else PATH // 2
    structured = (arrays, baseline) if len(arrays) > 1 else (arrays[0], baseline[0])
    found = inspect.integrated_gradients(
        subject.model, structured[0], target, baseline=structured[1], steps=steps, batch_size=steps
    )
    found = found[main] if len(arrays) > 1 else found
    values = np.asarray(found[0], "float64").reshape(window.length, -1)
    total = np.abs(values).sum()
    if not (total > 0 and np.isfinite(total)):
        return None
    by_feature = np.abs(values).sum(axis=0) / total
    order = np.argsort(-by_feature)
    return Influence(
        values,
        window.start,
        tuple(int(i) for i in order),
        tuple(float(by_feature[i]) for i in order),
    )


def mean_of(array: np.ndarray) -> np.ndarray:
    """The mean of each feature over the sequence."""
    # The mean of equal numbers may differ from them by rounding.
    constant = np.ptp(array, axis=1, keepdims=True) == 0
    return np.where(constant, array[:, :1], array.mean(axis=1, keepdims=True))
