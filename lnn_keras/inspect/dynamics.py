"""Time scales and Lyapunov exponents: how fast a recurrent layer forgets its state."""

from typing import Any

import numpy as np

from lnn_keras.inspect.jacobians import jacobians
from lnn_keras.inspect.recording import LayerRecording
from lnn_keras.inspect.steps import elapsed_of


def time_scales(recording: LayerRecording) -> np.ndarray:
    """The time scales on which a recurrent layer forgets its state, at each step of a recording.

        scale_i = -elapsed / ln |lambda_i|

    with lambda_i the eigenvalues of the step's Jacobian (`jacobians`). A disturbance of the state
    along an eigenvector decays by the factor e within its time scale. It is infinite where a
    disturbance does not decay, and 0 where one step removes it.

    Args:
        recording: A layer of `record`.

    Returns:
        (batch, time, size), the longest first, in the unit of the elapsed times; of a layer
        without elapsed times in steps. Masked steps and steps over no time are NaN.

    Raises:
        ValueError: `recording` is not that of one layer.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(8))
    recording = lnn_keras.inspect.record(layer, numpy.random.normal(size=(2, 20, 3)))
    lnn_keras.inspect.time_scales(recording[layer.name]).shape    # (2, 20, 8)
    ```
    """
    steps = jacobians(recording).astype("float64")
    found = np.full(steps.shape[:-1], np.nan)
    elapsed = np.broadcast_to(_elapsed(recording)[..., None], found.shape)
    valid = np.isfinite(steps).all(axis=(-2, -1)) & (elapsed[..., 0] > 0)
    moduli = np.abs(np.linalg.eigvals(steps[valid]))
    with np.errstate(divide="ignore"):
        scales = -elapsed[valid] / np.log(moduli)
    scales = np.where(moduli >= 1, np.inf, scales)
    found[valid] = -np.sort(-scales, axis=-1)
    return found


def lyapunov_exponents(recording: LayerRecording) -> np.ndarray:
    """The Lyapunov exponents of a recurrent layer along recorded sequences.

        Q_t R_t = J_t Q_(t-1),    exponent_i = sum_t ln |R_t[i, i]| / sum_t elapsed_t

    with the Jacobians J_t of the steps and Q_0 = 1, by QR decompositions. The largest exponent is
    the mean rate at which a small disturbance of the state grows: below 0 the layer forgets it
    and small errors of the state fade; above 0 they grow (chaos). Few steps give a rough estimate.

    Args:
        recording: A layer of `record`.

    Returns:
        (batch, size), the largest first, per unit of elapsed time; of a layer without elapsed
        times per step. Masked steps are skipped; a sequence without valid steps is NaN.

    Raises:
        ValueError: `recording` is not that of one layer.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(8))
    recording = lnn_keras.inspect.record(layer, numpy.random.normal(size=(2, 20, 3)))
    lnn_keras.inspect.lyapunov_exponents(recording[layer.name]).shape    # (2, 8)
    ```

    Reference: Benettin et al., Lyapunov characteristic exponents for smooth dynamical systems,
    Meccanica 15, 1980.
    """
    steps, elapsed = jacobians(recording).astype("float64"), _elapsed(recording)
    if recording.layer.go_backwards:
        steps, elapsed = steps[:, ::-1], elapsed[:, ::-1]
    found = np.full((len(steps), steps.shape[-1]), np.nan)
    for sample, (own_steps, times) in enumerate(zip(steps, elapsed, strict=True)):
        valid = np.isfinite(own_steps).all(axis=(-2, -1))
        total = times[valid].sum()
        if total > 0:
            found[sample] = _growth(own_steps[valid]) / total
    return found


def _growth(steps):
    """The sums of ln |R_t[i, i]|, the largest first. A direction that a step removes has -inf."""
    q, logarithms = np.eye(steps.shape[-1]), np.zeros(steps.shape[-1])
    for step in steps:
        q, r = np.linalg.qr(step @ q)
        with np.errstate(divide="ignore"):
            logarithms += np.log(np.abs(np.diag(r)))
    return -np.sort(-logarithms)


def _elapsed(recording: Any) -> np.ndarray:
    """The elapsed time of each step (batch, time), in float64."""
    if "elapsed" in recording:
        return recording["elapsed"].astype("float64")
    elapsed = elapsed_of(recording.layer)
    return np.full(recording["inputs"].shape[:2], 1.0 if elapsed is None else elapsed)
