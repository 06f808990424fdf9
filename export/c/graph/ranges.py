"""Ranges of values on the calibration data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Range:
    """The least and the greatest value of each element of a vector, both (size,)."""

    low: np.ndarray
    high: np.ndarray

    @staticmethod
    def over(ranges: Sequence[Range]) -> Range:
        """Return the range of vectors that have several ranges."""
        return Range(
            np.min([r.low for r in ranges], axis=0), np.max([r.high for r in ranges], axis=0)
        )

    def at(self, index: np.ndarray) -> tuple[float, float]:
        """Return the least and the greatest value of some elements."""
        return float(self.low[index].min()), float(self.high[index].max())

    @property
    def largest(self) -> float:
        """The greatest magnitude."""
        return float(max(np.abs(self.low).max(), np.abs(self.high).max()))
