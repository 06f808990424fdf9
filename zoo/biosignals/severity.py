"""Severity of a stay in intensive care: the training target of `icu_mortality`."""

import numpy as np

# The severity of a death in hospital; all other values are below it.
DEATH = 1


def severity(deaths: np.ndarray, stayed: np.ndarray, survived: np.ndarray) -> np.ndarray:
    """The severity of each stay: 1 for a death in hospital, otherwise from 0 to below 1.

    With d the days from discharge to a death, if one is recorded, and s the days in hospital:

        0.05 + 0.5 exp(-d / 60)  (0 without a recorded death)  +  0.3 min(s / 20, 1)

    Args:
        deaths: Deaths in hospital, 0 or 1: (stays,).
        stayed: Days in hospital; NaN if unknown.
        survived: Days from admission to death, in hospital or later; NaN if none is recorded.

    Returns:
        Severity (stays,).
    """
    stayed = np.nan_to_num(stayed)
    later = np.maximum(np.nan_to_num(survived) - stayed, 0)
    risk = np.where(np.isfinite(survived), 0.05 + 0.5 * np.exp(-later / 60), 0)
    risk = risk + 0.3 * np.minimum(stayed / 20, 1)
    return np.where(deaths == 1, DEATH, risk)
