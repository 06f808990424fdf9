"""StepInputs: the inputs of a cell's steps, by name."""

from collections.abc import Callable
from typing import NamedTuple

from lnn_keras.tensors import Tensor, ops


class StepInputs(NamedTuple):
    """Inputs of one step, or with a time axis of all steps.

    All tensors have one dtype, so that a loop can join them in one tensor.

    Attributes:
        features: Features, raw or projected (batch, [time,] size).
        elapsed: Elapsed times (batch, [time,] 1), or None if all steps take the same time.
        mask: 1 at valid steps and 0 at masked ones (batch, [time,] 1), or None without a mask.
    """

    features: Tensor
    elapsed: Tensor | None = None
    mask: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> "StepInputs":
        """Apply a function to every tensor."""
        return StepInputs(*(None if tensor is None else function(tensor) for tensor in self))

    def with_mask(self) -> "StepInputs":
        """The same inputs with a mask; one that masks no step if there was none."""
        if self.mask is not None:
            return self
        return self._replace(mask=ops.ones_like(self.features[..., :1]))
