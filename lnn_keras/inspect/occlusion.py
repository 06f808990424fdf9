"""occlusion: how the explained output changes without parts of the input."""

from typing import Any

import numpy as np

from lnn_keras.argument_checks import require_at_least
from lnn_keras.inspect.explained import ExplainedModel
from lnn_keras.inspect.saliency_inputs import baselines, checked_inputs, packed
from lnn_keras.inspect.targets import Target


def occlusion(
    model: Any,
    inputs: Any,
    target: Target = None,
    baseline: Any = None,
    width: int = 1,
    stride: int | None = None,
    by_feature: bool = True,
    batch_size: int = 256,
) -> Any:
    """The change of the explained output when parts of the input are replaced by a baseline.

        attribution[b, t, f] = mean over windows that hold t of target(x) - target(x without them)

    A window is `width` steps of one feature, or of all features. It takes one evaluation per
    window: about time / stride * features.

    Args:
        model: A Keras model or layer.
        inputs: Its inputs, arrays (batch, time, ...) in the structure that the model takes.
            Each input is occluded alone, the others stay as they are.
        target: The explained output, as of `gradients`.
        baseline: Inputs without information: by default 0, the mean of normalized data; a number,
            an array, or arrays in the structure of the inputs.
        width: Length of the windows in steps.
        stride: Steps between the windows; by default `width`.
        by_feature: Whether each feature is occluded for itself, or all features of a step at once,
            which then have the same attribution.
        batch_size: The number of sequences that are computed at once.

    Returns:
        Arrays of the structure and shapes of the inputs.

    Raises:
        ValueError: As of `gradients`, but integers are allowed; `width` or `stride` below 1, a
            stride above the width, or a baseline that does not fit.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(8))
    model = keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(1)])
    x = numpy.random.normal(size=(2, 20, 3))
    lnn_keras.inspect.occlusion(model, x, width=5).shape    # (2, 20, 3)
    ```

    Reference: Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014.
    """
    arrays = checked_inputs(model, inputs)
    starts = baselines(inputs, arrays, baseline)
    width = require_at_least(1, "width", width)
    stride = width if stride is None else require_at_least(1, "stride", stride)
    if stride > width:
        raise ValueError(
            f"`stride` must be at most `width`, or steps would be left out; received {stride} "
            f"and {width}."
        )
    runner = ExplainedModel(model, inputs, target)
    whole = runner.run(arrays, batch_size)
    found = []
    for number, (array, start) in enumerate(zip(arrays, starts, strict=True)):
        total, count = np.zeros(array.shape), np.zeros(array.shape)
        masks = _windows(array.shape[1:], width, stride, by_feature)
        # As many windows as fit into a batch.
        size = max(1, batch_size // len(array))
        for first in range(0, len(masks), size):
            chosen = masks[first : first + size]
            data = [np.concatenate([other] * len(chosen)) for other in arrays]
            data[number] = np.concatenate([np.where(mask, start, array) for mask in chosen])
            values = runner.run(data, batch_size).reshape(len(chosen), len(array))
            for mask, value in zip(chosen, values, strict=True):
                change = (whole - value).reshape(-1, *[1] * (array.ndim - 1))
                total += np.where(mask, change, 0.0)
                count += mask
        found.append((total / count).astype("float32"))
    return packed(inputs, found)


def _windows(shape, width, stride, by_feature):
    """The windows as masks (time, ...), which together hold every element."""
    masks = []
    starts = list(range(0, max(shape[0] - width, 0) + 1, stride))
    if starts[-1] + width < shape[0]:
        starts.append(shape[0] - width)
    for start in starts:
        if not by_feature or len(shape) == 1:
            mask = np.zeros(shape, bool)
            mask[start : start + width] = True
            masks.append(mask)
            continue
        for feature in range(shape[-1]):
            mask = np.zeros(shape, bool)
            mask[start : start + width, ..., feature] = True
            masks.append(mask)
    return masks
