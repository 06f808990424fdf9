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
    features = ops.convert_to_tensor(features, "float32")
    is_valid = ops.all(is_known(features), axis=-1, keepdims=True)
    features = ops.where(is_known(features), features, 0.0)
    prediction = method.predict(features, state)
    error, known = known_part(ops.convert_to_tensor(target, "float32") - prediction)
    known = known * ops.cast(is_valid, known.dtype)
    return prediction, method.learn(features, error, known, state)


def is_known(values: Tensor) -> Tensor:
    """Where values are finite and not absurdly large, as booleans."""
    return ops.abs(values) < LARGEST


def known_part(values: Tensor) -> tuple[Tensor, Tensor]:
    """Values with 0 where they are unknown, and 1 where they are known."""
    known = is_known(values)
    return ops.where(known, values, 0.0), ops.cast(known, values.dtype)


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
    is_any = ops.max(known, axis=-1) > 0

    def choose(new, old):
        shape = (-1,) + (1,) * (len(new.shape) - 1)
        return ops.where(ops.reshape(is_any, shape), new, old)

    return type(old)(*(choose(*pair) for pair in zip(new, old, strict=True)))
