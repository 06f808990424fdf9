"""temporal_saliency_rescaling: saliency of time steps first, then of features within them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lnn_keras.argument_checks import require_fraction
from lnn_keras.inspect.integrated_gradients import integrated_gradients
from lnn_keras.inspect.saliency_inputs import baselines, checked_inputs
from lnn_keras.inspect.targets import Target

MOST_VALUES = 2**24  # inputs of one call of a method: 64 MiB
INTEGRATION_STEPS = 8


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
    of the sequence. It takes 1 + time + relevant steps * features runs of the method. In trained
    models, whose gates saturate, plain gradients miss the salient values (docs/saliency.md).

    Args:
        model: A Keras model or layer.
        inputs: Its input (batch, time, features).
        target: The explained output, as of `gradients`.
        method: Function (model, inputs, target, batch_size=) -> attributions; by default
            `integrated_gradients` of 8 steps from the baseline.
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

    def attributed(sequences: np.ndarray, starts: np.ndarray) -> np.ndarray:
        if method is None:
            return integrated_gradients(
                model, sequences, target, starts, INTEGRATION_STEPS, batch_size
            )
        return np.asarray(method(model, sequences, target, batch_size=batch_size))

    whole = attributed(array, start)
    every_step = np.nonzero(np.ones(array.shape[:2], bool))
    time = _changes(attributed, array, start, whole, every_step).reshape(array.shape[:2])
    relevant = time >= np.quantile(time, threshold, axis=1, keepdims=True)
    features = np.nonzero(np.broadcast_to(relevant[..., None], array.shape))
    found = np.zeros(array.shape, "float32")
    found[features] = _changes(attributed, array, start, whole, features)
    return found * time[..., None]


def _changes(
    attributed: Callable[[np.ndarray, np.ndarray], np.ndarray],
    array: np.ndarray,
    start: np.ndarray,
    whole: np.ndarray,
    places: tuple[np.ndarray, ...],
) -> np.ndarray:
    """How much the attributions of a sequence change without its values at each place (places,).

    Args:
        attributed: Function from sequences and their baselines to attributions.
        array: The sequences (batch, time, features).
        start: Their baselines.
        whole: Their attributions.
        places: Numbers of sequences, of steps and, for single values, of features; each (places,).
    """
    found = []
    # Many places at once, since each call of a method compiles a function for the model.
    count = max(1, MOST_VALUES // array[0].size)
    for first in range(0, len(places[0]), count):
        sequence, *inner = (numbers[first : first + count] for numbers in places)
        variants, starts = array[sequence], start[sequence]
        variants[(np.arange(len(variants)), *inner)] = start[(sequence, *inner)]
        changes = np.abs(attributed(variants, starts) - whole[sequence])
        found.append(changes.sum(axis=(1, 2)))
    return np.concatenate(found)
