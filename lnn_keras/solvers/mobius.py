"""Moebius maps: the exact solutions of Riccati equations, and what a sequence of them composes to.

    u -> (a u + b) / (c u + 1)

Maps with c = 0 are linear; they are written without c.
"""

from typing import NamedTuple

from lnn_keras.tensors import Tensor, ops

# Maps with a larger c are as steep at 0 as one with this value: where 0 is an unstable fixed point,
# the slope of a composition grows without limit.
LARGEST = 1e12


class Mobius(NamedTuple):
    """Moebius maps u -> (a u + b) / (c u + 1), one per element of its tensors.

    Attributes:
        a: Tensor (..., units).
        b: Tensor (..., units).
        c: Tensor (..., units), or None for 0.
    """

    a: Tensor
    b: Tensor
    c: Tensor | None = None

    def __call__(self, u: Tensor) -> Tensor:
        """The values of the maps."""
        value = self.a * u + self.b
        return value if self.c is None else value / (self.c * u + 1)

    def after(self, earlier: "Mobius") -> "Mobius":
        """The composition u -> self(earlier(u)), of two maps with c or two without."""
        if self.c is None or earlier.c is None:
            return Mobius(self.a * earlier.a, self.a * earlier.b + self.b)
        scale = 1 / (self.c * earlier.b + 1)
        a = (self.a * earlier.a + self.b * earlier.c) * scale
        b = (self.a * earlier.b + self.b) * scale
        c = (self.c * earlier.a + earlier.c) * scale
        # The limit a / c, which all but the smallest u reach, stays.
        bound = LARGEST / ops.maximum(c, LARGEST)
        return Mobius(a * bound, b, c * bound)

    def power(self, count: int) -> "Mobius":
        """The map applied `count` times, by repeated squaring."""
        if count == 1:
            return self
        half = self.power(count // 2)
        square = half.after(half)
        return self.after(square) if count % 2 else square

    def where(self, mask: Tensor) -> "Mobius":
        """The maps where a mask is above 0, and the identity elsewhere."""
        parts = zip(self, (1.0, 0.0, 0.0), strict=True)
        return Mobius(*(None if p is None else ops.where(mask > 0, p, value) for p, value in parts))
