"""RecursiveLeastSquares: a linear map that follows a stream with exponential forgetting."""

import math
from typing import Any, NamedTuple

import keras
import numpy as np

from lnn_keras.adapt.linear_method import (
    LinearMethod,
    outer,
    row_times,
    times_column,
)
from lnn_keras.argument_checks import require_portion, require_positive
from lnn_keras.tensors import Tensor, ops


class RecursiveLeastSquaresState(NamedTuple):
    """The state of `RecursiveLeastSquares`, one per stream.

    Attributes:
        weights: The linear map D (batch, features, outputs).
        root: A square root S of the covariance, P = S S' (batch, features, features).
        refreshed: The feature that the prior is added to next, as a one-hot vector
            (batch, features).
    """

    weights: Tensor
    root: Tensor
    refreshed: Tensor


@keras.saving.register_keras_serializable(package="lnn_keras")
class RecursiveLeastSquares(LinearMethod):
    """Fits prediction = features D to a stream by recursive least squares.

    D minimizes the sum of squared errors, of which older ones count less, and a prior that holds D
    at 0:

        sum over k of forgetting^(t - k) |target_k - features_k D|^2 + |D|^2 / prior_variance

    With the gain g = P features / (forgetting + features' P features) a step is

        D <- D + g (target - features D),    P <- (P - g features' P) / forgetting

    The step stores a square root S of P (Potter's form), so P = S S' is never indefinite, however
    many steps are taken in float32. Forgetting removes the prior too, and without it P grows
    without limit in directions that the features do not visit. So each step also adds the part of
    the prior that it forgot, to one feature after the other: P stays at or below `prior_variance`,
    and D returns to 0 where the stream says nothing.

    A step takes about 5 features^2 + 3 features outputs multiply-accumulates, and the state has
    features (features + outputs + 1) numbers.

    Args:
        forgetting: Weight of an error after one more step, in (0, 1]. 1 / (1 - forgetting) steps
            are the memory.
        prior_variance: Variance of the entries of D before the first step, in units of (target /
            feature)^2 relative to the variance of the error. Larger values learn faster.

    Raises:
        ValueError: `forgetting` not in (0, 1], or `prior_variance` not above 0.

    Example:

    ```python
    method = lnn_keras.adapt.RecursiveLeastSquares(forgetting=0.9995)
    state = method.initial_state(features=3, outputs=1)
    features, target = keras.ops.ones((1, 3)), keras.ops.ones((1, 1))
    prediction, state = method.step(features, target, state)    # (1, 1)
    ```

    References: Potter and Stern, Statistical filtering of space navigation measurements, 1963;
    Haykin, Adaptive Filter Theory, chapter on recursive least squares.
    """

    def __init__(self, forgetting: float = 0.9995, prior_variance: float = 0.1):
        self.forgetting = require_portion("forgetting", forgetting)
        self.prior_variance = require_positive("prior_variance", prior_variance)

    def initial_state(
        self, features: int, outputs: int, batch_size: Any = 1
    ) -> RecursiveLeastSquaresState:
        """The state before the first step, for one stream or a batch of them."""
        root = math.sqrt(self.prior_variance) * np.eye(features, dtype="float32")
        first = np.eye(features, dtype="float32")[0]
        return RecursiveLeastSquaresState(
            ops.zeros((batch_size, features, outputs)),
            ops.tile(ops.convert_to_tensor(root)[None], (batch_size, 1, 1)),
            ops.tile(ops.convert_to_tensor(first)[None], (batch_size, 1)),
        )

    def learn(
        self, features: Tensor, error: Tensor, known: Tensor, state: RecursiveLeastSquaresState
    ) -> RecursiveLeastSquaresState:
        """Update the state; see `LinearMethod.learn`."""
        forgetting, weights, root = self.forgetting, state.weights, state.root
        # Streams of which no output is known keep their state.
        weight = ops.max(known, axis=-1, keepdims=True)
        projected = row_times(features, root)
        total = forgetting + ops.sum(ops.square(projected), axis=-1, keepdims=True)
        gain = times_column(root, projected)
        weights = weights + outer(gain / total, error * known)
        gain = gain / (total + ops.sqrt(forgetting * total))
        if forgetting == 1:
            return RecursiveLeastSquaresState(
                weights, root - outer(weight * gain, projected), state.refreshed
            )
        # The root after learning is (root - gain projected') / scale. Its products come from those
        # of the root before, so that one pass over the matrix does both updates.
        scale, feature = math.sqrt(forgetting), state.refreshed
        features_count = feature.shape[-1]
        # The forgotten part of the prior is added to one feature, as a target of 0 for its row of
        # D. Each feature has its turn after as many steps as there are features.
        deviations = math.sqrt(features_count * (1 - forgetting) / self.prior_variance)
        overlap = ops.sum(feature * gain, axis=-1, keepdims=True)
        refreshed = (row_times(feature, root) - overlap * projected) * (deviations / scale)
        overlap = ops.sum(projected * refreshed, axis=-1, keepdims=True)
        refreshing = (times_column(root, refreshed) - overlap * gain) / scale
        total = 1 + ops.sum(ops.square(refreshed), axis=-1, keepdims=True)
        row = deviations * row_times(feature, weights)
        weights = weights - outer(weight * refreshing / total, row)
        refreshing = refreshing / (total + ops.sqrt(total))
        root = (
            ops.expand_dims(1 + weight * (1 / scale - 1), -1) * root
            - outer(weight * gain / scale, projected)
            - outer(weight * refreshing, refreshed)
        )
        turned = ops.concatenate([feature[:, -1:], feature[:, :-1]], axis=-1)
        turned = weight * turned + (1 - weight) * feature
        return RecursiveLeastSquaresState(weights, root, turned)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"forgetting": self.forgetting, "prior_variance": self.prior_variance}
