"""AdaptiveReadoutCell: corrects the predictions of a frozen model by a map that keeps learning."""

import math
from typing import Any, NamedTuple

import keras

from lnn_keras.adapt.linear_method import (
    LARGEST,
    LinearMethod,
    known_part,
    valid_rows,
)
from lnn_keras.argument_checks import require_at_least, require_positive
from lnn_keras.tensors import Tensor, ops

# Steps over which the size of errors is averaged, and known targets before learning begins.
ERROR_STEPS = 100
FIRST_STEPS = 20
# Added to squared errors before their logarithm.
LEAST = 1e-20
COUNTS = ("learned", "missing", "limited")


class Guard(NamedTuple):
    """What protects the predictions from a correction that does harm, per stream and output.

    Attributes:
        level: Running mean of the logarithm of the squared error, times `seen` (batch, outputs).
        seen: Weight of the errors in that mean, from 0 to 1 (batch, outputs).
        agreement: Running sum of residual times correction (batch, outputs).
        size: Running sum of the squared correction (batch, outputs).
        counts: Number of targets learned, missing, and of errors limited (batch, 3).
    """

    level: Tensor
    seen: Tensor
    agreement: Tensor
    size: Tensor
    counts: Tensor


class Past(NamedTuple):
    """A prediction of an earlier step, and how it was made.

    Attributes:
        features: (batch, features).
        prediction: The prediction of the frozen model (batch, outputs).
        correction: (batch, outputs).
    """

    features: Tensor
    prediction: Tensor
    correction: Tensor


@keras.saving.register_keras_serializable(package="lnn_keras")
class AdaptiveReadoutCell(keras.layers.Layer):
    """An RNN cell that adds an adaptive correction to the predictions of a frozen model.

        correction_t = D_t [features_t, 1]                 D_t: the map that `method` learned so far
        output_t     = prediction_t + share_t correction_t

    Three guards keep it from doing harm:

    - `share` in [0, 1] is the factor of past corrections that would have fitted the targets best,
      sum(residual correction) / sum(correction^2) over `memory` steps, per output. Where the
      correction does not help, it fades out and the frozen model's prediction returns.
    - Errors beyond `outlier` deviations of the recent errors are limited to that size.
    - Targets and features that are not finite are not learned from.

    As an RNN cell it holds all that it has learned in its states, so that a model with it runs on
    every backend, and is exported like any recurrent model.

    Args:
        method: `RecursiveLeastSquares` or `LeastMeanSquares`.
        features: Number of features.
        outputs: Number of outputs.
        delay: Number of steps until the truth of a prediction is known. With 0 the target belongs
            to the prediction of the same step, which is made before it is learned. With h it
            belongs to the prediction of h steps before, and is learned first.
        outlier: Largest error that counts in full, in deviations of the recent errors.
        memory: Number of steps over which `share` is computed.
        **kwargs: `name` and `dtype` of `keras.layers.Layer`.

    Call arguments:
        inputs: Features, predictions and targets, joined (batch, features + 2 outputs).
        states: The list of states, as `get_initial_state` returns it.

    Returns:
        The corrected predictions (batch, outputs), and the list of the new states.

    Raises:
        ValueError: `features`, `outputs` or `memory` below 1, `delay` below 0, `outlier` not above
            0.

    Example:

    ```python
    method = lnn_keras.adapt.RecursiveLeastSquares()
    cell = lnn_keras.adapt.AdaptiveReadoutCell(method, features=2, outputs=1)
    layer = keras.layers.RNN(cell, return_sequences=True)
    outputs = layer(keras.ops.ones((1, 10, 4)))    # 2 features, the prediction and the target
    ```
    """

    def __init__(
        self,
        method: LinearMethod,
        features: int,
        outputs: int,
        delay: int = 0,
        outlier: float = 6.0,
        memory: int = 500,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.method = method
        self.features = require_at_least(1, "features", features)
        self.outputs = require_at_least(1, "outputs", outputs)
        self.delay = require_at_least(0, "delay", delay)
        self.outlier = require_positive("outlier", outlier)
        self.memory = require_at_least(1, "memory", memory)
        self.output_size = self.outputs
        state = method.initial_state(self.features + 1, self.outputs)
        self._method_state = type(state)
        self._method_shapes = [tuple(tensor.shape[1:]) for tensor in state]
        # States are flat, since Keras and device files expect (batch, size).
        self.state_size = [math.prod(shape) for shape in self._method_shapes]
        self.state_size += [self.outputs] * 4 + [len(COUNTS)]
        if self.delay:
            self.state_size.append(self.delay * self._past_size)

    def build(self, input_shape: Any) -> None:
        self.built = True

    @property
    def learned_states(self) -> int:
        """Number of states that hold what was learned; predictions that wait follow them."""
        return len(self.state_size) - (self.delay > 0)

    @property
    def _past_size(self):
        return self.features + 2 * self.outputs

    def get_initial_state(self, batch_size: Any = None) -> list[Tensor]:
        """The states before the first step."""
        method = self.method.initial_state(self.features + 1, self.outputs, batch_size)
        states = _flat(method)
        states += [ops.zeros((batch_size, size)) for size in self.state_size[len(states) :]]
        if self.delay:
            # A prediction that is out of range is never learned from.
            states[-1] = ops.full_like(states[-1], 10 * LARGEST)
        return states

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> Any:
        n, m = self.features, self.outputs
        features, prediction, target = ops.split(inputs, [n, n + m], axis=-1)
        method, guard, queue = self._separate(states)
        # Nothing is learned from features that are not finite.
        features, valid = valid_rows(features)
        if self.delay:
            method, guard = self._learn(
                self._past(queue[:, : self._past_size]), target, method, guard
            )
        correction = self.method.predict(_with_one(features), method)
        output = prediction + share_of(guard) * correction
        past = Past(features, ops.where(valid > 0, prediction, 10 * LARGEST), correction)
        if self.delay:
            queue = ops.concatenate([queue[:, self._past_size :], *past], axis=-1)
        else:
            method, guard = self._learn(past, target, method, guard)
        return output, [*_flat(method), *guard, *([queue] if self.delay else [])]

    def _separate(self, states):
        """The state of the method, the guard, and the past predictions."""
        count = len(self._method_shapes)
        pairs = zip(states[:count], self._method_shapes, strict=True)
        method = self._method_state(*(ops.reshape(s, (-1, *shape)) for s, shape in pairs))
        return method, Guard(*states[count : count + 5]), states[-1]

    def _past(self, joined):
        n, m = self.features, self.outputs
        return Past(*ops.split(joined, [n, n + m], axis=-1))

    def _learn(self, past, target, method, guard):
        """The method and the guard after the target of a past prediction was learned."""
        features = _with_one(valid_rows(past.features)[0])
        residual, known = known_part(target - past.prediction)
        fitted = self.method.predict(features, method)
        error = residual - fitted
        limit = self.outlier * ops.sqrt(variance_of(guard))
        # The first targets show the size of the errors.
        is_ready = guard.seen >= 1 - (1 - 1 / ERROR_STEPS) ** FIRST_STEPS
        is_limited = ops.logical_and(is_ready, ops.abs(error) > limit)
        level = ops.log(ops.square(error) + LEAST)
        error = ops.where(is_limited, ops.maximum(-limit, ops.minimum(error, limit)), error)
        learned = ops.where(is_ready, known, 0.0)
        method = self.method.learn(features, error, learned, method)

        rate, decay = known / ERROR_STEPS, 1 - known / self.memory
        correction, _ = known_part(past.correction)
        counts = [
            ops.mean(learned, axis=-1, keepdims=True),
            1 - ops.mean(known, axis=-1, keepdims=True),
            ops.mean(ops.where(is_limited, known, 0.0), axis=-1, keepdims=True),
        ]
        return method, Guard(
            level=guard.level + rate * (level - guard.level),
            seen=guard.seen + rate * (1 - guard.seen),
            agreement=decay * guard.agreement + known * (error + fitted) * correction,
            size=decay * guard.size + known * ops.square(correction),
            counts=guard.counts + ops.concatenate(counts, axis=-1),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "method": keras.saving.serialize_keras_object(self.method),
            "features": self.features,
            "outputs": self.outputs,
            "delay": self.delay,
            "outlier": self.outlier,
            "memory": self.memory,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AdaptiveReadoutCell":
        method = keras.saving.deserialize_keras_object(config["method"])
        return cls(**{**config, "method": method})


def variance_of(guard: Guard) -> Tensor:
    """The variance of normal errors with the same mean logarithm, which few outliers hardly change.

    The mean of log e^2 is log variance - 1.27 for normal errors e (batch, outputs).
    """
    return ops.exp(guard.level / ops.maximum(guard.seen, 1e-6) + 1.27)


def share_of(guard: Guard) -> Tensor:
    """The share of the correction that is added to the predictions (batch, outputs)."""
    # Corrections far smaller than the errors say nothing.
    least = 1e-3 * variance_of(guard)
    return ops.clip(guard.agreement / (guard.size + least), 0.0, 1.0)


def _flat(tensors):
    return [ops.reshape(tensor, (-1, math.prod(tensor.shape[1:]))) for tensor in tensors]


def _with_one(features):
    return ops.concatenate([features, ops.ones_like(features[:, :1])], axis=-1)
