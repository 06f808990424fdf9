"""temporal_saliency_rescaling: saliency of time steps first, then of features within them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lnn_keras.argument_checks import require_fraction
from lnn_keras.inspect.gradients import gradients
from lnn_keras.inspect.saliency_inputs import baselines, checked_inputs
from lnn_keras.inspect.targets import Target


def temporal_saliency_rescaling(
    model: Any,
    inputs: Any,
    target: Target = None,
    method: Callable | None = None,
    baseline: Any = None,
    threshold: float = 0.5,
    batch_size: int = 64,
) -> np.ndarray:
    """Rescale a saliency method by the relevance of time steps.

        time[t]       = sum |A(x) - A(x without step t)|
        feature[t, f] = sum |A(x) - A(x without feature f at step t)|  where time[t] is relevant
        attribution   = time[t] * feature[t, f],                       elsewhere 0

    with A the attributions of `method`, whose maps of recurrent models tend to smear features of
    salient steps. A step is relevant if its time relevance is at least the quantile `threshold`
    of the sequence. It takes time + relevant steps * features runs of the method.

    Args:
        model: A Keras model or layer.
        inputs: Its input (batch, time, features).
        target: The explained output, as of `gradients`.
        method: Function (model, inputs, target, batch_size=) -> attributions; `gradients` by
            default.
        baseline: Inputs without information: by default 0; a number or an array.
        threshold: Quantile of the time relevance from which a step is relevant, in [0, 1).
        batch_size: The number of sequences that are computed at once.

    Returns:
        (batch, time, features), at least 0.

    Raises:
        ValueError: As of `gradients`; the model has several inputs, the input is not
            (batch, time, features), or `threshold` is not in [0, 1).

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(8))
    model = keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(1)])
    x = numpy.random.normal(size=(2, 20, 3))
    lnn_keras.inspect.temporal_saliency_rescaling(model, x).shape    # (2, 20, 3)
    ```

    Reference: Ismail et al., Benchmarking deep learning interpretability in time series
    predictions, NeurIPS 2020, algorithm 1.
    """
    arrays = checked_inputs(model, inputs)
    if len(arrays) != 1 or arrays[0].ndim != 3:
        raise ValueError(
            "temporal_saliency_rescaling takes one input (batch, time, features); received shapes "
            f"{[array.shape for array in arrays]}. For other models use `integrated_gradients` or "
            "`occlusion`."
        )
    (array,), (start,) = arrays, baselines(arrays[0], arrays, baseline)
    threshold = require_fraction("threshold", threshold)
    method = gradients if method is None else method
    found = np.zeros(array.shape, "float32")
    for number, (x, x0) in enumerate(zip(array, start, strict=True)):
        # All steps, then all features of the relevant steps, each as one batch of variants.
        steps = [np.arange(len(x)) == step for step in range(len(x))]
        time = _changes(method, model, target, x, x0, [step[:, None] for step in steps], batch_size)
        relevant = np.flatnonzero(time >= np.quantile(time, threshold))
        features = np.eye(x.shape[1], dtype=bool)
        masks = [steps[step][:, None] & feature for step in relevant for feature in features]
        changes = _changes(method, model, target, x, x0, masks, batch_size)
        found[number, relevant] = changes.reshape(len(relevant), -1) * time[relevant, None]
    return found


def _changes(method, model, target, x, x0, masks, batch_size):
    """How much the attributions change when x is x0 where each mask holds (masks,)."""
    variants = np.stack([x, *(np.where(mask, x0, x) for mask in masks)])
    attributions = np.asarray(method(model, variants, target, batch_size=batch_size))
    changes = np.abs(attributions[1:] - attributions[:1])
    return changes.reshape(len(masks), -1).sum(axis=1)
