"""FixedSteps: a step function applied a fixed number of times; and `solve`, for any method."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lnn_keras.tensors import Tensor


@dataclass(frozen=True)
class FixedSteps:
    """`count` steps of equal length.

    The progress of the solution is (h, delta), with delta the length of a step.

    Args:
        step: Function (increments, h) -> h at the end of the step.
        count: Number of steps.
    """

    step: Callable
    count: int

    @property
    def limit(self) -> int:
        """The greatest number of iterations."""
        return self.count

    def start(self, increments: Callable, h: Tensor, elapsed: Tensor | float) -> tuple:
        """The progress before the first step."""
        return h, elapsed / self.count

    def iterate(self, increments: Callable, progress: tuple) -> tuple:
        """The progress after one more step."""
        h, delta = progress
        return self.step(functools.partial(increments, delta=delta), h), delta

    def unfinished(self, progress: tuple) -> bool:
        """Always true: `limit` ends the iterations."""
        return True

    def run(self, increments: Callable, progress: tuple) -> tuple:
        """The progress after all steps, unrolled so that a compiler may fuse them."""
        for _ in range(self.count):
            progress = self.iterate(increments, progress)
        return progress

    def finish(self, progress: tuple) -> Tensor:
        """The state at the end."""
        return progress[0]


def solve(method: Any, increments: Callable, h: Tensor, elapsed: Tensor | float) -> Tensor:
    """Solve dh/dt = drive - decay h over `elapsed`, with gradients by backpropagation.

    Args:
        method: `FixedSteps` or `Dopri5`.
        increments: Function (h, delta) -> (delta drive, delta decay), each (batch, size).
        h: State at the start (batch, size).
        elapsed: A number or a tensor (batch, 1).

    Returns:
        The state at the end.
    """
    return method.finish(method.run(increments, method.start(increments, h, elapsed)))
