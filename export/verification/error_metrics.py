"""Error metrics of a runtime against its reference, relative to the reference's variation."""

import numpy as np

CURVE_POINTS = 500


def relative_rms(values: np.ndarray, reference: np.ndarray, scale_of: np.ndarray) -> float:
    """Return the RMS of values - reference, over the standard deviation over time of `scale_of`.

    The variance of each feature is taken about the feature's own mean and then averaged over
    features. If `scale_of` is constant, the RMS itself is returned.
    """
    difference = values.astype("float64") - reference
    return float(np.sqrt(np.mean(difference**2)) / _deviation(scale_of))


def largest_rms(values: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> float:
    """Return the largest `relative_rms` of several tensors (time, ...), by name; 0 if none."""
    return max((relative_rms(values[name], r, r) for name, r in reference.items()), default=0.0)


def step_errors(values: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> np.ndarray:
    """Return the relative RMS error of each step (time,), of the tensor with the largest."""
    return np.max(
        [
            np.sqrt(np.mean((values[name] - r.astype("float64")) ** 2, axis=_feature_axes(r)))
            / _deviation(r)
            for name, r in reference.items()
        ],
        axis=0,
    )


def curve(errors: np.ndarray) -> tuple[float, ...]:
    """Return the RMS of errors over time in at most `CURVE_POINTS` windows of similar length."""
    windows = np.array_split(errors, min(CURVE_POINTS, len(errors)))
    return tuple(float(np.sqrt(np.mean(window**2))) for window in windows)


def _deviation(values):
    deviation = np.sqrt(np.mean(np.var(values.astype("float64"), axis=0)))
    return deviation if deviation > 0 else 1.0


def _feature_axes(values):
    return tuple(range(1, values.ndim))
