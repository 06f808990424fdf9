"""The ways to adapt that are compared: each predicts a stream, step by step, and learns from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.adaptation.streams import Stream, load

COMPONENTS = 36
# Learning rate of the immediate derivatives.
RATE = 1e-4
RETRAIN_EVERY, RETRAIN_ON, RIDGE = 500, 2000, 10.0


@dataclass(frozen=True)
class Prediction:
    """Predictions of a stream by a method.

    Attributes:
        outputs: (time, outputs), each made before its target is known.
        numbers: Numbers that the method keeps besides the model and its states.
        operations: Multiply-accumulates of an adapting step, besides the model's own.
        log: What the guards did.
    """

    outputs: np.ndarray
    numbers: int = 0
    operations: int = 0
    log: dict[str, Any] | None = None


def frozen(model: Any, stream: Stream) -> Prediction:
    """The model as it is."""
    inputs = [array[None] for array in stream.inputs]
    outputs: Any = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    return Prediction(outputs[0])


def least_squares(model: Any, stream: Stream) -> Prediction:
    """Recursive least squares on the states and inputs of the model."""
    from lnn_keras import adapt

    method = adapt.RecursiveLeastSquares()
    return _adaptive(model, stream, method, lambda n, m: (n * (n + m + 1), 5 * n * n + 3 * n * m))


def reduced_least_squares(model: Any, stream: Stream) -> Prediction:
    """Recursive least squares on the principal components of the states and inputs."""
    from lnn_keras import adapt

    typical = features_of(model, stream)[: stream.change or RETRAIN_ON]
    size = min(COMPONENTS, typical.shape[1])
    projection = adapt.principal_components(typical, size)
    return _adaptive(
        model,
        stream,
        adapt.RecursiveLeastSquares(),
        lambda n, m: (n * (n + m + 1), 5 * n * n + 3 * n * m + projection.size),
        projection=projection,
    )


def least_mean_squares(model: Any, stream: Stream) -> Prediction:
    """Normalized least mean squares on the states and inputs of the model."""
    from lnn_keras import adapt

    return _adaptive(model, stream, adapt.LeastMeanSquares(), lambda n, m: (n * m, 3 * n * m))


def retrained(model: Any, stream: Stream) -> Prediction:
    """A ridge regression of the readout's correction on the last steps, now and then."""
    base = frozen(model, stream).outputs
    features = np.concatenate([features_of(model, stream), np.ones((len(base), 1))], axis=1)
    residual = stream.targets - base
    outputs = base.copy()
    weights = np.zeros((features.shape[1], base.shape[1]))
    for start in range(0, len(base), RETRAIN_EVERY):
        rows = slice(start, start + RETRAIN_EVERY)
        if start:
            past = slice(max(0, start - RETRAIN_ON), start)
            products = features[past].T @ features[past] + RIDGE * np.eye(features.shape[1])
            weights = np.linalg.solve(products, features[past].T @ residual[past])
        outputs[rows] += features[rows] @ weights
    size = features.shape[1] * base.shape[1]
    return Prediction(outputs, RETRAIN_ON * (features.shape[1] + base.shape[1]), size)


def linear_model(model: Any, stream: Stream) -> Prediction:
    """Recursive least squares on the inputs, without any network."""
    import keras

    from lnn_keras import adapt

    rows = stream.inputs[0].astype("float32")
    scale = np.maximum(rows[:RETRAIN_ON].std(axis=0), 1e-6)
    rows = (rows - rows[:RETRAIN_ON].mean(axis=0)) / scale
    # A prior that hardly holds the map at 0, where it starts.
    method = adapt.RecursiveLeastSquares(prior_variance=100.0)
    cell = adapt.AdaptiveReadoutCell(method, rows.shape[1], stream.targets.shape[1])
    layer = keras.layers.RNN(cell, return_sequences=True)
    joined: Any = keras.Input((None, rows.shape[1] + 2 * stream.targets.shape[1]))
    learner: Any = keras.Model(joined, layer(joined))
    parts = [rows, np.zeros_like(stream.targets), stream.targets]
    found = learner.predict(np.concatenate(parts, axis=1)[None], verbose=0)
    n, m = rows.shape[1] + 1, stream.targets.shape[1]
    return Prediction(found[0], n * (n + m + 1), 5 * n * n + 3 * n * m)


def immediate_derivatives(model: Any, stream: Stream) -> Prediction:
    """RMSprop on all weights, with the derivatives of the current step only.

    The loss is relative to the deviations of the first targets, which it takes as known.

    Reference: arXiv 2603.28750.
    """
    import keras

    from lnn_keras.adapt.stream_model import StreamModel

    # The weights change, and those of `model` must not.
    learner: Any = StreamModel(load(stream.model))
    scale = np.maximum(np.nanstd(stream.targets[:RETRAIN_ON], axis=0), 1e-6).astype("float32")

    def loss(targets: Any, outputs: Any) -> Any:
        return keras.ops.mean(keras.ops.square((targets - outputs) / scale))

    states = learner.initial_states
    learner.compile(keras.optimizers.RMSprop(RATE), loss=[loss, *(None for _ in states)])
    outputs = []
    for step in range(len(stream.targets)):
        rows = [array[None, step : step + 1] for array in stream.inputs]
        output, *new_states = learner.predict_on_batch([*rows, *states])
        outputs.append(output[0, 0])
        target = stream.targets[None, step : step + 1]
        if np.isfinite(target).all():
            learner.train_on_batch([*rows, *states], [target, *new_states])
        states = new_states
    count = learner.count_params()
    return Prediction(np.array(outputs), count, 3 * count)


METHODS: dict[str, Callable[[Any, Stream], Prediction]] = {
    "frozen": frozen,
    "recursive least squares": least_squares,
    "recursive least squares, reduced": reduced_least_squares,
    "least mean squares": least_mean_squares,
    "retrained readout": retrained,
    "immediate derivatives": immediate_derivatives,
    "linear model": linear_model,
}


def features_of(model: Any, stream: Stream) -> np.ndarray:
    """The features of the model's readout (time, features) on a stream."""
    import keras

    from lnn_keras import adapt

    found = adapt.readout(model)
    joined: Any = found.features
    joined = joined[0] if len(joined) == 1 else keras.layers.Concatenate()(list(joined))
    inputs = [array[None] for array in stream.inputs]
    reader: Any = keras.Model(model.inputs, joined)  # pyright: ignore[reportCallIssue] # stub: a Functional model's arguments
    values = reader.predict(inputs, verbose=0)
    return values[0]


def _adaptive(model, stream, method, cost, **options):
    from lnn_keras import adapt

    adaptive = adapt.AdaptiveModel(model, method, **options)
    inputs = list(stream.inputs)
    outputs = adaptive.observe(inputs, stream.targets)
    cell: Any = adaptive.model.get_layer("adaptive_readout").cell
    numbers, operations = cost(cell.features + 1, cell.outputs)
    return Prediction(outputs, numbers, operations, adaptive.log())
