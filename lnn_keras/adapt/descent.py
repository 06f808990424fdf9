"""Descent: steps of parameters from gradients, by stochastic gradient descent or RMSprop."""

from collections.abc import Sequence

from lnn_keras.adapt.guard_rails import norm
from lnn_keras.tensors import Tensor, ops

METHODS = ("rmsprop", "sgd")
# The share that the running mean of squared gradients keeps at each step of RMSprop.
RHO = 0.99
EPSILON = 1e-8
# A gradient with a longer norm than this many root mean squares of the earlier ones is shortened.
LARGEST_GRADIENT = 10.0
# Squares of gradients are limited to this value, so that their mean is finite.
LARGEST_SQUARE = 1e30


def initial_squares(method: str, parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The running means of squared gradients before the first step; none for "sgd"."""
    return tuple(ops.zeros_like(parameter) for parameter in parameters if method == "rmsprop")


def descend(
    gradients: Sequence[Tensor], squares: Sequence[Tensor], count: Tensor, learning_rate: float
) -> tuple[list[Tensor], tuple[Tensor, ...], Tensor]:
    """The steps of the parameters.

        "sgd":      step = -learning_rate g
        "rmsprop":  v <- 0.99 v + 0.01 g^2,   step = -learning_rate g / sqrt(v / (1 - 0.99^n))

    RMSprop divides by an unbiased mean, so its first steps are as long as its later ones. An
    outlier would stay in the mean for long: gradients count as at most ten times as long as the
    root mean square of the earlier ones.

    Args:
        gradients: Gradients, finite.
        squares: Running means v of RMSprop, or () for "sgd".
        count: Number of earlier steps, int32.
        learning_rate: The learning rate.

    Returns:
        The steps, the new means, and whether the gradients were shortened.
    """
    if not squares:
        return [-learning_rate * gradient for gradient in gradients], (), ops.equal(1, 0)
    earlier = ops.cast(count, gradients[0].dtype)
    length = _total_norm(gradients)
    usual = ops.sqrt(sum(ops.sum(v) for v in squares) / _weight(ops.maximum(earlier, 1.0)))
    limit = LARGEST_GRADIENT * usual
    shortened = ops.logical_and(usual > 0, length > limit)
    factor = ops.where(shortened, limit / ops.maximum(length, 1e-30), 1.0)
    gradients = [gradient * factor for gradient in gradients]
    squares = tuple(
        RHO * v + (1 - RHO) * ops.minimum(ops.square(gradient), LARGEST_SQUARE)
        for v, gradient in zip(squares, gradients, strict=True)
    )
    weight = _weight(earlier + 1)
    steps = [
        -learning_rate * gradient / (ops.sqrt(v / weight) + EPSILON)
        for v, gradient in zip(squares, gradients, strict=True)
    ]
    return steps, squares, shortened


def _weight(count):
    """The sum of the weights of `count` squares in their running mean."""
    return 1 - ops.power(RHO, count)


def _total_norm(tensors):
    return norm(ops.stack([norm(tensor) for tensor in tensors]))
