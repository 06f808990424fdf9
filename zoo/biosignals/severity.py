"""Severity of a stay in intensive care: what became of it, as one number to train on."""

import numpy as np

# The severity of a death in hospital, and of nothing else.
DEATH = 1


def severity(deaths: np.ndarray, stayed: np.ndarray, survived: np.ndarray) -> np.ndarray:
    """Targets: what became of each stay, from 0 to below 1, and 1 for a death in hospital.

    A death after discharge counts the less the later it comes, and a long stay counts a little.

    Args:
        deaths: In hospital, 0 or 1: (stays,).
        stayed: Days in hospital, NaN where unknown.
        survived: Days from admission to a death at any time, NaN where none is known.
    """
    stayed = np.nan_to_num(stayed)
    later = np.maximum(np.nan_to_num(survived) - stayed, 0)
    risk = np.where(np.isfinite(survived), 0.05 + 0.5 * np.exp(-later / 60), 0)
    risk = risk + 0.3 * np.minimum(stayed / 20, 1)
    return np.where(deaths == 1, DEATH, risk)
