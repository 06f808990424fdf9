"""How far what a runtime gives drifts from its reference."""

import numpy as np

CURVE_POINTS = 500


def relative_rms(values: np.ndarray, reference: np.ndarray, scale_of: np.ndarray) -> float:
    """RMS of values - reference, over the standard deviation over time of `scale_of`.

    Each feature's standard deviation is taken about its own mean, then pooled;
    where `scale_of` is constant, the RMS itself is returned.
    """
    difference = values.astype("float64") - reference
    return float(np.sqrt(np.mean(difference**2)) / _scale(scale_of))


def largest_rms(values: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> float:
    """The largest `relative_rms` of several tensors (time, ...), by name; 0 without any."""
    return max((relative_rms(values[name], r, r) for name, r in reference.items()), default=0.0)


def step_errors(values: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> np.ndarray:
    """The RMS error of each step (time,), relative as above, of the worst tensor."""
    return np.max(
        [
            np.sqrt(np.mean((values[name] - r.astype("float64")) ** 2, axis=_features(r)))
            / _scale(r)
            for name, r in reference.items()
        ],
        axis=0,
    )


def curve(errors: np.ndarray) -> tuple[float, ...]:
    """The RMS of errors over time, in at most `CURVE_POINTS` windows of about one length."""
    windows = np.array_split(errors, min(CURVE_POINTS, len(errors)))
    return tuple(float(np.sqrt(np.mean(window**2))) for window in windows)


def _scale(values):
    deviation = np.sqrt(np.mean(np.var(values.astype("float64"), axis=0)))
    return deviation if deviation > 0 else 1.0


def _features(values):
    return tuple(range(1, values.ndim))
