"""Error metrics of outputs against a reference, relative to the reference's variation."""

import itertools
from collections.abc import Sequence

import numpy as np

CURVE_POINTS = 500
# Float32 programs may differ by so many units in the last place.
ROUNDING_ULPS = 4


def relative_rms(
    values: np.ndarray, reference: np.ndarray, scale_of: np.ndarray | None = None
) -> float:
    """Return the RMS of values - reference, over the standard deviation of the reference.

    The deviation is taken along the first axis, about each feature's own mean, and its square is
    averaged over features. Where the reference is constant, the RMS itself is returned.

    Args:
        values: (n, ...).
        reference: (n, ...).
        scale_of: Values (m, ...) whose deviation is taken instead of the reference's.
    """
    rms = np.sqrt(np.mean((values.astype("float64") - reference) ** 2))
    return float(rms / deviation(reference if scale_of is None else scale_of))


def rounding(reference: dict[str, np.ndarray], changed: dict[str, np.ndarray]) -> float:
    """Return the relative error that any two float32 programs may have, the largest of outputs.

    It is `ROUNDING_ULPS` times the larger of two errors: that of one unit in the last place of the
    outputs, and that of outputs whose inputs have their last bit changed. The first is large if
    outputs have a large offset and a small variation, the second if they are small differences of
    large values.

    Args:
        reference: Outputs (n, ...) by name.
        changed: The same outputs after a change of the last bit of the inputs.
    """
    return ROUNDING_ULPS * max(
        max(last_place(values), relative_rms(changed[name], values))
        for name, values in reference.items()
    )


def last_place(reference: np.ndarray) -> float:
    """Return one unit in the last place of float32 of values (n, ...), over their deviation."""
    spacing = np.finfo("float32").eps * np.sqrt(np.mean(reference.astype("float64") ** 2))
    return float(spacing / deviation(reference))


def last_bit_changed(named: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return values by name, floats with their last bit changed up or down at random."""
    random = np.random.default_rng(0)
    changed = dict(named)
    for name, values in named.items():
        if values.dtype.kind == "f":
            factors = 1 + np.finfo("float32").eps * random.choice([-1, 1], values.shape)
            changed[name] = (values * factors).astype(values.dtype)
    return changed


def largest_rms(values: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> float:
    """Return the largest `relative_rms` of several tensors (n, ...), by name; 0 if none."""
    return max((relative_rms(values[name], r) for name, r in reference.items()), default=0.0)


def relative_distance(values: np.ndarray, reference: np.ndarray) -> float:
    """Return the norm of values - reference, over that of the reference if it is not 0."""
    norm = float(np.linalg.norm(reference.astype("float64")))
    return float(np.linalg.norm(values.astype("float64") - reference)) / (norm or 1.0)


def disagreement(outputs: Sequence[dict[str, np.ndarray]]) -> float | None:
    """Return the largest `relative_rms` between two runtimes, over the reference's deviation.

    Args:
        outputs: Outputs (n, ...) by name of the reference, and of each runtime.

    Returns:
        None if there are fewer than two runtimes.
    """
    reference, *others = outputs
    return max(
        (
            relative_rms(second[name], first[name], reference[name])
            for first, second in itertools.combinations(others, 2)
            for name in reference
        ),
        default=None,
    )


def step_errors(values: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> np.ndarray:
    """Return the relative RMS error of each row (n,), of the tensor with the largest.

    If some tensors have a row per step and others one per sequence, the latter count for all steps
    of their sequence.
    """
    errors = [
        np.sqrt(np.mean((values[name] - r.astype("float64")) ** 2, axis=_feature_axes(r)))
        / deviation(r)
        for name, r in reference.items()
    ]
    length = max(map(len, errors))
    return np.max([np.repeat(of_rows, length // len(of_rows)) for of_rows in errors], axis=0)


def curve(errors: np.ndarray) -> tuple[float, ...]:
    """Return the RMS of errors over time in at most `CURVE_POINTS` windows of similar length."""
    windows = np.array_split(errors, min(CURVE_POINTS, len(errors)))
    return tuple(float(np.sqrt(np.mean(window**2))) for window in windows)


def deviation(values: np.ndarray) -> float:
    """Return the standard deviation along the first axis, in RMS over features; 1 if it is 0."""
    result = float(np.sqrt(np.mean(np.var(values.astype("float64"), axis=0))))
    return result if result > 0 else 1.0


def _feature_axes(values):
    return tuple(range(1, values.ndim))
