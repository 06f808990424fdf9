"""FixedSteps: a step function, applied a fixed number of times."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from lnn_keras.solvers.explicit import euler, midpoint, rk4
from lnn_keras.solvers.fused import semi_implicit

STEPS = {"semi_implicit": semi_implicit, "euler": euler, "midpoint": midpoint, "rk4": rk4}


@dataclass(frozen=True)
class FixedSteps:
    """`count` steps of one length.

    The progress of the solution is (h, delta), delta being the length of a step.

    Args:
        step: Function (increments, h) -> h of the end of a step.
        count: Number of steps.
    """

    step: Callable
    count: int

    @property
    def limit(self) -> int:
        """The greatest number of iterations."""
        return self.count

    def start(self, increments, h, elapsed):
        """The progress at the start."""
        return h, elapsed / self.count

    def iterate(self, increments, progress):
        """The progress after one step more."""
        h, delta = progress
        return self.step(functools.partial(increments, delta=delta), h), delta

    def unfinished(self, progress):
        """Whether the end is not reached; here the count alone says it."""
        return True

    def run(self, increments, progress):
        """All iterations, unrolled so that a compiler may fuse them."""
        for _ in range(self.count):
            progress = self.iterate(increments, progress)
        return progress

    def finish(self, progress):
        """The state at the end."""
        return progress[0]
