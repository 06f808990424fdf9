"""RunningNormalization: normalization of inputs by a mean and a variance that follow them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from lnn_keras.adapt.running_normalization_cell import RunningNormalizationCell
from lnn_keras.elapsed import LAST_FEATURE
from lnn_keras.layers.liquid_rnn import RNN_OPTIONS, LiquidRNN


@keras.saving.register_keras_serializable(package="lnn_keras")
class RunningNormalization(LiquidRNN):
    """Normalize a sequence by a running mean and variance, which follow drifting sensors.

    Use it in the place of `keras.layers.Normalization` in front of a trained model. It starts as
    that layer, (x - mean) / deviation, and then follows each feature with exponential forgetting,
    without targets: after the gain or the bias of a sensor has changed, the model behind it sees
    the distribution of its training again within a few times `memory`. The equations are those of
    `RunningNormalizationCell`.

    It assumes that the mean and the variance of the world itself do not change over `memory`.
    Where they do, this change is removed as well, so choose a memory far longer than any event
    that the model has to see. The first steps after a change are still wrong. A mean that jumps
    by k deviations widens the variance as well, which takes 2 ln k times `memory` to return.

    The layer is an RNN layer: it takes masks, `stateful`, `return_state` and elapsed times, and a
    file for a device holds its offset and its change of variance as states. Save them where a
    device restarts. Generated code refuses NaN: there a missing value is a number beyond 1e15.
    Float files follow Keras. Integer files adapt within the range of their calibration data, which
    must therefore contain drifts that are larger than those to follow. int16x8 then follows Keras
    within 0.2 % for the layer by itself; in front of other cells the error is larger, and the
    export may be refused. int8 is too coarse for memories above about 50 steps.

    Args:
        units: Number of features.
        mean: Mean of the training data, a number or one per feature; by default 0, or from
            `adapt`.
        variance: Variance of the training data, a number or one per feature; by default 1, or
            from `adapt`.
        memory: Time constant of the running mean and variance, in the unit of the elapsed time; by
            default a number of steps.
        limit: Largest output, in deviations; at least 2.
        floor: Least running deviation, relative to the training data's, in (0, 1).
        statistics: Whether the output contains the running mean and the running deviation after
            the normalized inputs, for models that give forecasts in the sensor's units.
        elapsed: Elapsed time per step: a number, for regularly sampled data, or "last_feature" if
            the last input feature is the elapsed time.
        return_sequences: Whether to return all steps or the last one.
        **kwargs: Arguments of `keras.layers.RNN`: return_state, go_backwards, stateful, unroll,
            zero_output_for_mask; `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        sequences: (batch, time, units). NaN, and values beyond 1e15, are missing.
        initial_state: Optional list of two states (batch, units).
        mask: Optional booleans (batch, time). A masked step keeps the states.
        elapsed: Optional elapsed times (batch, time) or (batch, time, 1), or one number for all
            steps. Keyword only.

    Returns:
        (batch, time, units), or (batch, time, 3 units) with `statistics`.

    Raises:
        ValueError: As `RunningNormalizationCell`.

    Example:

    ```python
    normalize = lnn_keras.adapt.RunningNormalization(3, memory=1000)
    normalize.adapt(20 + 4 * keras.random.normal((8, 500, 3)))
    normalized = normalize(21 * keras.ops.ones((1, 10, 3)))
    ```

    Reference: Finch, Incremental calculation of weighted mean and variance, 2009.
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
        return_sequences: bool = True,
        **kwargs: Any,
    ):
        policy = {"dtype": kwargs["dtype"]} if kwargs.get("dtype") is not None else {}
        cell = RunningNormalizationCell(
            units, mean, variance, memory, limit, floor, statistics, elapsed, **policy
        )
        super().__init__(cell, return_sequences=return_sequences, **kwargs)

    def adapt(self, data: Any) -> None:
        """Take the mean and the variance of training data. Missing values are left out.

        A feature that is constant in the data gets the variance 1.

        Args:
            data: Array (..., units), without elapsed times.

        Raises:
            ValueError: Another number of features, or one without any finite value.
        """
        values = np.asarray(data, "float64")
        units = self.cell.units
        if values.ndim < 1 or values.shape[-1] != units:
            raise ValueError(
                f"{type(self).__name__} {self.name!r} has {units} units and adapts to data of "
                f"shape (..., {units}); received shape {values.shape}."
            )
        values = np.where(np.isfinite(values), values, np.nan).reshape(-1, units)
        empty = np.flatnonzero(np.isnan(values).all(axis=0))
        if empty.size:
            raise ValueError(
                f"Feature {empty[0]} has no finite value in the data; remove it, or give `mean` "
                "and `variance` to the layer."
            )
        mean, variance = np.nanmean(values, axis=0), np.nanvar(values, axis=0)
        if not self.built:
            self.build((None, None, units + (self.cell.elapsed == LAST_FEATURE)))
        self.cell.assign_statistics(mean, np.where(variance > 0, variance, 1.0))

    def with_cell(self, cell: Any) -> LiquidRNN:
        """A `LiquidRNN` with the same name and options, and another cell."""
        options = {name: getattr(self, name) for name in RNN_OPTIONS}
        return LiquidRNN(
            cell, name=self.name, dtype=self.dtype_policy, trainable=self.trainable, **options
        )

    def get_config(self) -> dict[str, Any]:
        config, cell = super().get_config(), self.cell.get_config()
        for name in ("cell", "remat", "parallel"):
            del config[name]
        shared = ("units", "mean", "variance", "memory", "limit", "floor", "statistics", "elapsed")
        return {**config, **{name: cell[name] for name in shared}}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "RunningNormalization":
        return cls(**config)
