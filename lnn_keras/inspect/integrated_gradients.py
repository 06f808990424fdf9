"""integrated_gradients: the contribution of each input, along a line from a baseline."""

from typing import Any

import numpy as np

from lnn_keras.argument_checks import require_at_least
from lnn_keras.inspect.gradients import GradientModel
from lnn_keras.inspect.saliency_inputs import baselines, checked_inputs, packed
from lnn_keras.inspect.targets import Target


def integrated_gradients(
    model: Any,
    inputs: Any,
    target: Target = None,
    baseline: Any = None,
    steps: int = 64,
    batch_size: int = 64,
) -> Any:
    """The contribution of each input to the difference from the output at a baseline.

        attribution = (x - x0) * integral of d target / d x at x0 + a (x - x0), a from 0 to 1

    by Gauss-Legendre quadrature. The contributions of a sequence add up to target(x) - target(x0)
    (completeness); the difference shows whether `steps` suffice.

    Args:
        model: A Keras model or layer.
        inputs: Its inputs, arrays (batch, time, ...) in the structure that the model takes.
        target: The explained output, as of `gradients`.
        baseline: Inputs without information: by default 0, the mean of normalized data; a number,
            an array, or arrays in the structure of the inputs. An input that equals its baseline
            contributes 0: give elapsed times and masks as their own baselines.
        steps: Points of the quadrature.
        batch_size: The number of sequences that are computed at once.

    Returns:
        Arrays of the structure and shapes of the inputs; NaN for inputs of integers, which stay as
        they are.

    Raises:
        ValueError: As of `gradients`; `steps` below 1, or a baseline that does not fit.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(8))
    model = keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(1)])
    x = numpy.random.normal(size=(2, 20, 3))
    found = lnn_keras.inspect.integrated_gradients(model, x)
    found.sum((1, 2))    # model.predict(x)[:, 0] - model.predict(0 * x)[:, 0]
    ```

    Reference: Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, ICML 2017.
    """
    arrays = checked_inputs(model, inputs)
    starts = baselines(inputs, arrays, baseline)
    points, weights = np.polynomial.legendre.leggauss(require_at_least(1, "steps", steps))
    points, weights = (points + 1) / 2, weights / 2
    pairs = list(zip(arrays, starts, strict=True))
    found = [np.zeros(array.shape) for array in arrays]
    runner = GradientModel(model, inputs, target)
    # Several points at once, as one batch.
    count = max(1, batch_size // len(arrays[0]))
    for first in range(0, steps, count):
        chosen = points[first : first + count]
        line = [_along(array, start, chosen) for array, start in pairs]
        _, slopes = runner.run(line, batch_size)
        for total, slope in zip(found, slopes, strict=True):
            slope = slope.reshape(len(chosen), *total.shape)
            total += np.tensordot(weights[first : first + count], slope, axes=1)
    differences = [array - start for array, start in pairs]
    contributions = [
        (total * difference).astype("float32")
        for total, difference in zip(found, differences, strict=True)
    ]
    return packed(inputs, contributions)


def _along(array, start, points):
    """The points of the line from start to array, one after the other along the batch."""
    if array.dtype.kind != "f":
        return np.concatenate([array] * len(points))
    return np.concatenate([start + np.float32(point) * (array - start) for point in points])
