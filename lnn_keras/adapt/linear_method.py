"""LinearMethod: the base class of the methods that fit a linear map to a stream, one step per call.

Every tensor has a batch axis, with one stream per row.
"""

from typing import Any

from lnn_keras.tensors import Tensor, ops

# Larger absolute values, and NaN, count as missing.
LARGEST = 1e15


class LinearMethod:
    """A linear map D from features to outputs that learns from a stream.

    A method has `initial_state` and `learn`, and `get_config` with its constructor's arguments. Its
    state is a NamedTuple of tensors (batch, ...), with D as `weights`.
    """

    def initial_state(self, features: int, outputs: int, batch_size: Any = 1) -> Any:
        """The state before the first step, for one stream or a batch of them."""
        raise NotImplementedError

    def predict(self, features: Tensor, state: Any) -> Tensor:
        """features D: (batch, features) -> (batch, outputs)."""
        return row_times(features, state.weights)

    def learn(self, features: Tensor, error: Tensor, known: Tensor, state: Any) -> Any:
        """Update the state.

        Args:
            features: (batch, features), finite.
            error: target - prediction (batch, outputs), finite.
            known: 1 where a target is known, 0 elsewhere (batch, outputs). Where none is known,
                the state does not change.
            state: The state before the step.
        """
        raise NotImplementedError

    def step(self, features: Tensor, target: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Predict, then learn.

        Features that are not finite count as 0, and nothing is learned from that step.

        Args:
            features: (batch, features).
            target: (batch, outputs). Values that are not finite are missing targets.
            state: The state before the step.

        Returns:
            The prediction (batch, outputs), made before learning, and the new state.
        """
        features, valid = valid_rows(ops.convert_to_tensor(features, "float32"))
        prediction = self.predict(features, state)
        error, known = known_part(ops.convert_to_tensor(target, "float32") - prediction)
        return prediction, self.learn(features, error, known * valid, state)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LinearMethod":
        """A method from the result of `get_config`."""
        return cls(**config)


def known_part(values: Tensor) -> tuple[Tensor, Tensor]:
    """Values with 0 where they are unknown, and 1.0 where they are known, else 0.0."""
    is_known = ops.abs(values) < LARGEST
    return ops.where(is_known, values, 0.0), ops.where(is_known, 1.0, 0.0)


def valid_rows(features: Tensor) -> tuple[Tensor, Tensor]:
    """Features with 0 where they are unknown, and 1.0 for rows (batch, 1) with none unknown."""
    features, known = known_part(features)
    # Small devices have no minimum over an axis.
    return features, 1 - ops.max(1 - known, axis=-1, keepdims=True)


def row_times(row: Tensor, matrix: Tensor) -> Tensor:
    """(batch, i), (batch, i, j) -> (batch, j)."""
    return ops.squeeze(ops.matmul(ops.expand_dims(row, 1), matrix), 1)


def times_column(matrix: Tensor, column: Tensor) -> Tensor:
    """(batch, i, j), (batch, j) -> (batch, i)."""
    return ops.squeeze(ops.matmul(matrix, ops.expand_dims(column, -1)), -1)


def outer(column: Tensor, row: Tensor) -> Tensor:
    """(batch, i), (batch, j) -> (batch, i, j)."""
    return ops.expand_dims(column, -1) * ops.expand_dims(row, 1)


def where_any(known: Tensor, new: Any, old: Any) -> Any:
    """The new state of streams of which any output is known, and the old state of others.

    Args:
        known: 1 or 0 (batch, outputs).
        new: NamedTuple of tensors (batch, ...).
        old: The same before the step.
    """
    any_known = ops.max(known, axis=-1)

    def choose(new, old):
        # A selection would need booleans of this shape, which small devices cannot reshape.
        weight = ops.reshape(any_known, (-1,) + (1,) * (len(new.shape) - 1))
        return weight * new + (1 - weight) * old

    return type(old)(*(choose(*pair) for pair in zip(new, old, strict=True)))
