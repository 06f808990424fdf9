"""LeastMeanSquares: a linear map that follows a stream by normalized gradient steps."""

from typing import Any, NamedTuple

import keras

from lnn_keras.adapt.linear_method import LinearMethod, outer, where_any
from lnn_keras.argument_checks import require_fraction, require_positive
from lnn_keras.tensors import Tensor, ops


class LeastMeanSquaresState(NamedTuple):
    """The state of `LeastMeanSquares`, one per stream.

    Attributes:
        weights: The linear map D (batch, features, outputs).
    """

    weights: Tensor


@keras.saving.register_keras_serializable(package="lnn_keras")
class LeastMeanSquares(LinearMethod):
    """Fits prediction = features D to a stream by normalized least mean squares.

        D <- (1 - leak) D + rate features (target - features D)' / (epsilon + |features|^2)

    It takes about 3 features outputs multiply-accumulates per step, and its state has
    features outputs numbers: far less than `RecursiveLeastSquares`, but it learns slowly in
    directions in which the features vary little.

    Args:
        rate: Step size, in (0, 2): below 2 a step reduces the error on its own features.
        leak: Fraction of D that is lost per step, in [0, 1). It holds D bounded where the
            features do not determine it.
        epsilon: Added to |features|^2, above 0.

    Raises:
        ValueError: `rate` not in (0, 2), `leak` not in [0, 1), `epsilon` not above 0.

    Example:

    ```python
    method = lnn_keras.adapt.LeastMeanSquares(rate=0.02)
    state = method.initial_state(features=3, outputs=1)
    features, target = keras.ops.ones((1, 3)), keras.ops.ones((1, 1))
    prediction, state = method.step(features, target, state)    # (1, 1)
    ```

    References: Widrow and Hoff, Adaptive switching circuits, 1960; Haykin, Adaptive Filter Theory,
    chapters on normalized and leaky least mean squares.
    """

    def __init__(self, rate: float = 0.02, leak: float = 1e-5, epsilon: float = 1.0):
        self.rate = require_positive("rate", rate)
        if self.rate >= 2:
            raise ValueError(f"`rate` must be in (0, 2); received {rate!r}.")
        self.leak = require_fraction("leak", leak)
        self.epsilon = require_positive("epsilon", epsilon)

    def initial_state(
        self, features: int, outputs: int, batch_size: Any = 1
    ) -> LeastMeanSquaresState:
        """The state before the first step, for one stream or a batch of them."""
        return LeastMeanSquaresState(ops.zeros((batch_size, features, outputs)))

    def learn(
        self, features: Tensor, error: Tensor, known: Tensor, state: LeastMeanSquaresState
    ) -> LeastMeanSquaresState:
        """Update the state; see `LinearMethod.learn`."""
        size = self.epsilon + ops.sum(ops.square(features), axis=-1, keepdims=True)
        step = outer(self.rate * features / size, error * known)
        new = LeastMeanSquaresState((1 - self.leak) * state.weights + step)
        return where_any(known, new, state)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"rate": self.rate, "leak": self.leak, "epsilon": self.epsilon}
