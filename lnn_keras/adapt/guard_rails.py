"""Guard rails of online learning: limits of each step and of the distance, and a way back.

Distances are relative to the trained weights, per weight tensor W: ||theta - W|| / s with

    s = max(||W||, sqrt(size of W) / 10),

so that tensors of zeros can move as well. Every limit is counted when it acts.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lnn_keras.tensors import Tensor, ops

# A tensor with a smaller root mean square counts as one with this value.
SMALLEST_WEIGHT = 0.1
# The slow mean of the errors covers this many times as many steps as the fast one.
SLOWNESS = 10
# Errors count as at most this many times the slow mean, and as at most so much that it takes
# `OUTLIERS` of them in a row to cause a return: an outlier is no trend.
LARGEST_ERROR, OUTLIERS = 10.0, 5
# Elements of steps count as at most this large, so that their norm is finite.
LARGEST = 1e30
# The share of the way from the trained weights that is left after a return.
RETURN_SHARE = 0.5


class GuardState(NamedTuple):
    """The numbers of the guard rails: scalars, counts in int32.

    Attributes:
        fast: Running mean of the errors of about `horizon` steps.
        slow: Running mean of the errors of about ten times as many steps.
        errors: Number of errors that entered the means since the last return.
        learned: Number of steps of the parameters.
        skipped: Number of calls without a finite gradient, for instance of a missing target.
        clipped: Number of steps that were too long and were shortened.
        projected: Number of steps that left the trust region and were projected onto it.
        returned: Number of returns towards the trained weights.
    """

    fast: Tensor
    slow: Tensor
    errors: Tensor
    learned: Tensor
    skipped: Tensor
    clipped: Tensor
    projected: Tensor
    returned: Tensor


class GuardRails:
    """Limits of the steps of parameters around trained weights.

    Args:
        trained: The trained weights, arrays.
        constraints: For each, its Keras constraint or None.
        trust_region: The largest relative distance from the trained weights.
        largest_step: The largest relative length of a step.
        return_above: The ratio of the fast to the slow mean of the errors above which the
            parameters return half of the way to the trained weights; infinite for never.
        horizon: Number of steps of the fast mean.
    """

    def __init__(
        self,
        trained: Sequence[np.ndarray],
        constraints: Sequence[Callable | None],
        trust_region: float,
        largest_step: float,
        return_above: float,
        horizon: int,
    ):
        self._arrays, self._constraints = trained, constraints
        self._trust_region, self._largest_step = trust_region, largest_step
        self._return_above, self._horizon = return_above, horizon
        self._largest_error = min(LARGEST_ERROR, 1 + (return_above - 1) * horizon / OUTLIERS)
        self._scales = [
            max(float(np.linalg.norm(weight)), SMALLEST_WEIGHT * weight.size**0.5)
            for weight in trained
        ]

    @property
    def _trained(self):
        # Graphs cannot share tensors of another graph.
        return [ops.convert_to_tensor(array, array.dtype.name) for array in self._arrays]

    def initial_state(self) -> GuardState:
        """No errors and no steps."""
        zero, none = ops.zeros((), "float32"), ops.zeros((), "int32")
        return GuardState(zero, zero, *[none] * 6)

    def step(
        self,
        steps: Sequence[Tensor],
        usable: Tensor,
        shortened: Tensor,
        parameters: Sequence[Tensor],
        guard: GuardState,
    ) -> tuple[tuple[Tensor, ...], GuardState]:
        """Add a step to the parameters, within the limits.

        Args:
            steps: Differences of the parameters, finite.
            usable: Whether to take the step.
            shortened: Whether the step is shortened already.
            parameters: The adapted parameters.
            guard: The state of the guard rails.

        Returns:
            The new parameters, and the new state.
        """
        new, clipped, projected = [], shortened, ops.zeros_like(shortened)
        for parts in zip(
            parameters, steps, self._trained, self._constraints, self._scales, strict=True
        ):
            parameter, too_long, outside = self._step_of_one(*parts)
            new.append(parameter)
            clipped = ops.logical_or(clipped, too_long)
            projected = ops.logical_or(projected, outside)
        new = [ops.where(usable, *pair) for pair in zip(new, parameters, strict=True)]
        return tuple(new), guard._replace(
            learned=guard.learned + _count(usable),
            skipped=guard.skipped + _count(ops.logical_not(usable)),
            clipped=guard.clipped + _count(ops.logical_and(usable, clipped)),
            projected=guard.projected + _count(ops.logical_and(usable, projected)),
        )

    def _step_of_one(self, parameter, step, trained, constraint, scale):
        """A parameter after its step, and whether each of the two limits acted."""
        step = ops.clip(step, -LARGEST, LARGEST)
        length, limit = norm(step), self._largest_step * scale
        too_long = length > limit
        new = parameter + step * ops.where(too_long, limit / ops.maximum(length, limit), 1.0)
        if constraint is not None:
            new = constraint(new)
        # Convex constraints hold on the way back to the trained weights.
        away = new - trained
        distance, limit = norm(away), self._trust_region * scale
        outside = distance > limit
        nearest = trained + away * (limit / ops.maximum(distance, limit))
        return ops.where(outside, nearest, new), too_long, outside

    def watch(
        self, error: Any, parameters: Sequence[Tensor], guard: GuardState
    ) -> tuple[tuple[Tensor, ...], GuardState]:
        """Return towards the trained weights where the errors have grown.

        A return takes the present level of the errors as the usual one: where the world has
        changed and not the model, learning then goes on.

        Args:
            error: A number of at least 0; others do not count.
            parameters: The adapted parameters.
            guard: The state of the guard rails.

        Returns:
            The new parameters, and the new state.
        """
        error = ops.stop_gradient(ops.reshape(ops.cast(error, "float32"), ()))
        valid = ops.logical_and(ops.isfinite(error), error >= 0)
        known = ops.where(
            guard.slow > 0, ops.minimum(error, self._largest_error * guard.slow), error
        )
        known = ops.where(valid, known, guard.fast)
        errors = guard.errors + _count(valid)
        fast, slow = (
            ops.where(valid, mean + (known - mean) * _rate(errors, steps), mean)
            for mean, steps in (
                (guard.fast, self._horizon),
                (guard.slow, SLOWNESS * self._horizon),
            )
        )
        grown = ops.logical_and(errors > self._horizon, fast > self._return_above * slow)
        new = tuple(
            ops.where(grown, trained + RETURN_SHARE * (parameter - trained), parameter)
            for parameter, trained in zip(parameters, self._trained, strict=True)
        )
        return new, guard._replace(
            fast=fast,
            slow=ops.where(grown, fast, slow),
            errors=ops.where(grown, 0, errors),
            returned=guard.returned + _count(grown),
        )

    def distance(self, parameters: Sequence[Any]) -> float:
        """The largest relative distance of the parameters from the trained weights."""
        arrays = [ops.convert_to_numpy(parameter) for parameter in parameters]
        return max(
            float(np.linalg.norm(array - trained)) / scale
            for array, trained, scale in zip(arrays, self._arrays, self._scales, strict=True)
        )


def norm(tensor: Tensor) -> Tensor:
    """The Euclidean norm of all elements, without overflow of their squares."""
    largest = ops.maximum(ops.max(ops.abs(tensor)), 1e-30)
    return largest * ops.sqrt(ops.sum(ops.square(tensor / largest)))


def all_finite(tensors: Sequence[Tensor]) -> Tensor:
    """Whether all elements of all tensors are finite."""
    return ops.all(ops.stack([ops.all(ops.isfinite(tensor)) for tensor in tensors]))


def _count(condition):
    return ops.cast(condition, "int32")


def _rate(count, steps):
    """The weight of the newest of `count` errors: a mean of all, then a running one."""
    return 1 / ops.cast(ops.clip(count, 1, steps), "float32")
