"""Dopri5: an adaptive solver, with step lengths of its own for each sample of a batch."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import keras

from lnn_keras.tensors import Tensor, ops

# Dormand and Prince, 1980, table 2: the weights of earlier slopes in each stage, and the weights of
# all slopes in the difference between the fifth-order and the fourth-order solution.
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
# The length of the next step as a multiple of this one: safety factor, least and greatest.
SAFETY, SHORTEST, LONGEST = 0.8, 0.2, 5.0
RESOLUTION = {"bfloat16": 2**-7, "float16": 2**-10, "float32": 2**-23, "float64": 2**-52}


def dopri5(increments: Callable, h: Tensor) -> tuple[Tensor, Tensor]:
    """One step of fifth order, and an estimate of its error.

    Args:
        increments: Function h -> (delta drive, delta decay), with delta the length of the step.
        h: State at the start of the step (batch, size).

    Returns:
        The state at the end of the step, and the estimated error.
    """

    def slope(h):
        gain, loss = increments(h)
        return gain - loss * h

    slopes = [slope(h)]
    stage = h
    for weights in STAGES:
        stage = h + _weighted_sum(weights, slopes)
        slopes.append(slope(stage))
    return stage, _weighted_sum(ERROR, slopes)


@dataclass(frozen=True)
class Dopri5:
    """The method of Dormand and Prince: fifth order, with an estimate of the error.

    A step is accepted if the maximum over the units of

        error / (atol + rtol max(|h before|, |h after|))

    is at most 1. The length of the next step is this length times 0.8 maximum^(-1/5), limited to
    between 0.2 and 5 times. Each sample has its own step lengths. The progress of the solution is
    (h, time left, length of the next step).

    Args:
        rtol: Relative tolerance of a step.
        atol: Absolute tolerance of a step.
        max_steps: The greatest number of attempted steps; a sample that needs more becomes NaN.
        least_steps: The first step is at most elapsed / least_steps.

    Reference: Dormand and Prince, A family of embedded Runge-Kutta formulae, 1980; step
    control after Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, II.4.
    """

    rtol: float
    atol: float
    max_steps: int
    least_steps: int = 1

    @property
    def limit(self) -> int:
        """The greatest number of iterations."""
        return self.max_steps

    def start(self, increments: Callable, h: Tensor, elapsed: Tensor | float) -> tuple:
        """The progress before the first step."""
        precise = keras.backend.result_type(h.dtype, "float32")
        left = ops.zeros_like(h[:, :1], dtype=precise) + ops.cast(elapsed, precise)
        # The first step is a fraction of the time in which the fastest unit changes by its size.
        gain, loss = increments(h, delta=ops.cast(left, h.dtype))
        changes = ops.abs(gain) / (1 + ops.abs(h)) + ops.abs(loss)
        changes = ops.cast(ops.max(changes, axis=-1, keepdims=True), precise)
        first = left / ops.maximum(4 * changes, self.least_steps)
        return h, left, ops.stop_gradient(first)

    def iterate(self, increments: Callable, progress: tuple) -> tuple:
        """The progress after one more attempted step, accepted or not."""
        h, left, step = progress
        # Not `minimum`: where both are equal, the gradient belongs to the time left.
        step = ops.where(step < left, step, left)
        delta = ops.cast(step, h.dtype)
        end, error = dopri5(functools.partial(increments, delta=delta), h)
        ratio = self._error_ratio(h, end, error, left.dtype)
        accepted = ratio <= 1
        factor = ops.clip(SAFETY * (ratio + 1e-30) ** -0.2, SHORTEST, LONGEST)
        factor = ops.where(ops.isfinite(ratio), factor, SHORTEST)
        return (
            ops.where(accepted, end, h),
            ops.where(accepted, left - step, left),
            ops.stop_gradient(step * factor),
        )

    def _error_ratio(self, h, end, error, precise):
        """The error of each sample (batch, 1), as a multiple of the tolerance."""
        # In half precision, smaller errors drown in rounding.
        resolution = 4 * RESOLUTION[keras.backend.standardize_dtype(h.dtype)]
        h, end, error = (ops.stop_gradient(ops.cast(v, precise)) for v in (h, end, error))
        size = ops.maximum(ops.abs(h), ops.abs(end))
        allowed = max(self.atol, resolution) + max(self.rtol, resolution) * size
        return ops.max(ops.abs(error) / allowed, axis=-1, keepdims=True)

    def unfinished(self, progress: tuple) -> Tensor:
        """Whether any sample has time left."""
        return ops.any(progress[1] > 0)

    def run(self, increments: Callable, progress: tuple) -> tuple:
        """The progress after all iterations, in a loop that can be differentiated."""
        iterate = functools.partial(self.iterate, increments)
        if keras.backend.backend() == "jax":
            # JAX cannot differentiate a loop of unknown length. A finished sample has no time left,
            # so that more iterations do not change it.
            return ops.fori_loop(0, self.max_steps, lambda _, progress: iterate(progress), progress)
        return ops.while_loop(
            lambda *progress: self.unfinished(progress),
            lambda *progress: iterate(progress),
            progress,
            maximum_iterations=self.max_steps,
        )

    def count_steps(
        self, increments: Callable, h: Tensor, elapsed: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        """The numbers of accepted and of rejected steps of each sample, float (batch, 1)."""
        progress = self.start(increments, h, elapsed)
        none = ops.zeros_like(progress[1])

        def iterate(h, left, step, accepted, rejected):
            after = self.iterate(increments, (h, left, step))
            is_accepted, is_unfinished = after[1] < left, left > 0
            accepted = accepted + ops.cast(is_accepted, left.dtype)
            is_rejected = ops.logical_and(is_unfinished, ops.logical_not(is_accepted))
            return *after, accepted, rejected + ops.cast(is_rejected, left.dtype)

        *_, accepted, rejected = ops.while_loop(
            lambda h, left, step, *counts: ops.any(left > 0),
            iterate,
            (*progress, none, none),
            maximum_iterations=self.max_steps,
        )
        return accepted, rejected

    def finish(self, progress: tuple) -> Tensor:
        """The state at the end; NaN for a sample that has time left."""
        h, left, _ = progress
        return ops.where(left > 0, float("nan"), h)


def _weighted_sum(weights, slopes):
    return sum(w * slope for w, slope in zip(weights, slopes, strict=True) if w)
