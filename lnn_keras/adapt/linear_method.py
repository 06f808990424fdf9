"""LinearMethod: the interface of the methods that fit a linear map to a stream, one step per call.

Every tensor has a batch axis, with one stream per row.
"""

from typing import Any, Protocol

from lnn_keras.tensors import Tensor, ops

# Larger absolute values, and NaN, count as missing.
LARGEST = 1e15


class LinearMethod(Protocol):
    """A linear map from features to outputs that learns from a stream."""

    def initial_state(self, features: int, outputs: int, batch_size: Any = 1) -> Any:
        """A NamedTuple of tensors (batch, ...)."""
        ...

    def predict(self, features: Tensor, state: Any) -> Tensor:
        """(batch, features) -> (batch, outputs)."""
        ...

    def learn(self, features: Tensor, error: Tensor, known: Tensor, state: Any) -> Any:
        """The state after learning from an error where `known` is 1."""
        ...

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        ...


def predict_and_learn(
    method: LinearMethod, features: Tensor, target: Tensor, state: Any
) -> tuple[Tensor, Any]:
    """One step of a method: a prediction, and the state after its target was learned.

    Features that are not finite count as 0, and nothing is learned from that step.
    """
    features, valid = valid_rows(ops.convert_to_tensor(features, "float32"))
    prediction = method.predict(features, state)
    error, known = known_part(ops.convert_to_tensor(target, "float32") - prediction)
    return prediction, method.learn(features, error, known * valid, state)


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
