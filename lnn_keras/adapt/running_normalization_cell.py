"""RunningNormalizationCell: one step of normalization by a mean and a variance that follow."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from lnn_keras.argument_checks import require_at_least, require_fraction, require_positive
from lnn_keras.cells.continuous_time import ContinuousTimeCell, largest_input, step_dtype
from lnn_keras.tensors import Tensor, ops

# Stands for a missing value behind `project`, and the bound that tells it from others.
MISSING, LARGEST = 2e30, 1e30
# The largest weight of one step, for steps after a long gap.
LARGEST_RATE = 0.1
# A smaller limit would cut so much of a normal distribution that its variance cannot be estimated.
LEAST_LIMIT = 2.0


@keras.saving.register_keras_serializable(package="lnn_keras")
class RunningNormalizationCell(ContinuousTimeCell):
    """Normalize inputs by a running mean and variance that forget exponentially.

    mu and sigma are the mean and deviation of the training data. The states are the offset d of
    the running mean and the change v of the running variance, in units of the training data, so
    the zeros with which Keras starts and resets them stand for the training data. Per feature

        z = (x - mu) / sigma
        s = max(sqrt(1 + v), floor)
        y = (z - d) / s, not beyond -limit and limit              the output
        a = elapsed / (memory + elapsed), at most 0.1
        d <- d + a s y
        v <- v + a (s^2 y^2 - 1 - v)

    The running mean is mu + sigma d and the running deviation is sigma s. Where x is NaN or
    beyond 1e15 (in float16 1e4) it counts as missing: y is 0, and d and v stay. One outlier,
    however large, moves the mean by at most a `limit` deviations and the variance by at most the
    factor 1 + a limit^2. An input that stays constant cannot make the deviation smaller than
    floor sigma.

    Args:
        units: Number of features.
        mean: Mean of the training data, a number or one per feature; by default 0.
        variance: Variance of the training data, a number or one per feature; by default 1.
        memory: Time constant of the running mean and variance, in the unit of `elapsed`; by
            default a number of steps.
        limit: Largest output, in deviations; at least 2.
        floor: Least running deviation, relative to the training data's, in (0, 1).
        statistics: Whether the output contains the running mean and the running deviation after
            the normalized inputs: x = mean + deviation y holds where y is within the limit.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, units), or (batch, units + 1) with elapsed="last_feature".
        states: The list of d and v, each (batch, units).
        elapsed: Optional elapsed time that replaces the cell's own: a number, (batch,) or
            (batch, 1).
        training: Has no effect.

    Returns:
        The output (batch, units), or (batch, 3 units) with `statistics`, and the list of the new
        states.

    Raises:
        ValueError: `units` below 1, `mean` or `variance` of another size or not finite, a variance
            or `memory` not above 0, `limit` below 2, `floor` not between 0 and 1, invalid
            `elapsed`, or inputs with another number of features.

    Example:

    ```python
    cell = lnn_keras.adapt.RunningNormalizationCell(4, memory=500)
    layer = lnn_keras.LiquidRNN(cell, return_sequences=True)
    ```

    References: Finch, Incremental calculation of weighted mean and variance, 2009 (exponential
    forgetting); Huber, Robust estimation of a location parameter, 1964 (limited residuals).
    """

    def __init__(
        self,
        units: int,
        mean: float | Sequence[float] | np.ndarray | None = None,
        variance: float | Sequence[float] | np.ndarray | None = None,
        memory: float = 1000.0,
        limit: float = 5.0,
        floor: float = 0.1,
        statistics: bool = False,
        elapsed: float | str = 1.0,
        **kwargs: Any,
    ):
        units = require_at_least(1, "units", units)
        self.memory = require_positive("memory", memory)
        self.limit = require_positive("limit", limit)
        if self.limit < LEAST_LIMIT:
            raise ValueError(
                f"`limit` must be at least {LEAST_LIMIT:g} deviations; received {limit!r}."
            )
        self.floor = require_positive("floor", require_fraction("floor", floor))
        size = 3 * units if statistics else units
        super().__init__(state_size=[units, units], output_size=size, elapsed=elapsed, **kwargs)
        self.units = units
        self.statistics = bool(statistics)
        self._initial_mean = _per_feature("mean", 0.0 if mean is None else mean, units)
        self._initial_variance = _per_feature(
            "variance", 1.0 if variance is None else variance, units, above=0.0
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = self.features_of(input_shape)
        if features != self.units:
            raise ValueError(
                f"{type(self).__name__} {self.name!r} has {self.units} units and needs as many "
                f"input features; received inputs of shape {tuple(input_shape)}."
            )
        self.mean = self._add_statistic("mean", self._initial_mean)
        self.variance = self._add_statistic("variance", self._initial_variance)
        self.built = True

    def _add_statistic(self, name, values):
        # Means may be large against deviations: half precision cannot hold them.
        return self.add_weight(
            name=name,
            shape=(self.units,),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(values, dtype=dtype),
            dtype=step_dtype(self),
            trainable=False,
            autocast=False,
        )

    def assign_statistics(self, mean: Any, variance: Any) -> None:
        """Replace the mean and the variance of the training data in a built cell.

        Raises:
            ValueError: One has another size or is not finite, or a variance is not above 0.
        """
        mean = _per_feature("mean", mean, self.units)
        variance = _per_feature("variance", variance, self.units, above=0.0)
        self.mean.assign(mean)
        self.variance.assign(variance)

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Inputs in units of the training data (..., units), or `MISSING`."""
        inputs = ops.cast(inputs, step_dtype(self))
        deviation = ops.sqrt(ops.convert_to_tensor(self.variance))
        # False for NaN too. Kernels of small devices have no test for finite numbers.
        present = ops.abs(inputs) < largest_input(self.compute_dtype)
        return ops.where(present, (inputs - self.mean) / deviation, MISSING)

    def advance(
        self,
        projected: Tensor,
        states: Any,
        elapsed: float | Tensor,
        constants: Sequence[Tensor] | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        offset, change = states
        observed = ops.abs(projected) <= LARGEST
        z = ops.where(observed, projected, 0.0)
        square = ops.maximum(1.0 + change, self.floor**2)
        scale = ops.sqrt(square)
        y = ops.where(observed, ops.clip((z - offset) / scale, -self.limit, self.limit), 0.0)
        growth = ops.where(observed, square * ops.square(y) - (1.0 + change), 0.0)
        rate = self._rate(elapsed)
        output = y
        if self.statistics:
            deviation = ops.sqrt(ops.convert_to_tensor(self.variance))
            output = ops.concatenate([y, self.mean + deviation * offset, deviation * scale], -1)
        return output, [offset + rate * scale * y, change + rate * growth]

    def _rate(self, elapsed):
        """The weight of a step among those that the memory holds."""
        rate = elapsed / (self.memory + elapsed)
        return (
            ops.minimum(rate, LARGEST_RATE) if hasattr(rate, "shape") else min(rate, LARGEST_RATE)
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "mean": self._initial_mean.tolist(),
            "variance": self._initial_variance.tolist(),
            "memory": self.memory,
            "limit": self.limit,
            "floor": self.floor,
            "statistics": self.statistics,
        }


def _per_feature(argument, values, units, above=-math.inf):
    """A number, or one per feature, as an array (units,)."""
    array = np.asarray(values, "float64")
    if array.size not in (1, units) or (array.ndim > 1 and array.size != max(array.shape)):
        raise ValueError(
            f"`{argument}` must be a number or {units} numbers, one per feature; received shape "
            f"{array.shape}."
        )
    wrong = array[~(np.isfinite(array) & (array > above))]
    if wrong.size:
        bound = "finite" if above == -math.inf else f"finite and above {above:g}"
        raise ValueError(f"`{argument}` must be {bound}; received {wrong.flat[0]}.")
    return np.broadcast_to(array.reshape(-1), (units,)).copy()
