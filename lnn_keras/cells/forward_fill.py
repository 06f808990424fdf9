"""ForwardFillCell: the last observed value of each feature, for sequences with missing values."""

from typing import Any

import keras

from lnn_keras.tensors import Tensor, ops


@keras.saving.register_keras_serializable(package="lnn_keras")
class ForwardFillCell(keras.layers.Layer):
    """Replace each missing value by the last one that was observed.

        h <- h + m (x - h)

    with the values x, and m = 1 where a value was observed, otherwise 0. Before the first
    observation the output is 0, the mean of normalized data.

    Args:
        units: Number of features.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, 2 units), the values and then m. Values that are missing must be finite.
        states: The state (batch, units), or a list that holds it.

    Returns:
        The output (batch, units), and the list of the new state.

    Raises:
        ValueError: `units` below 1, or inputs of another size than 2 units.

    Example:

    ```python
    values, observed = keras.Input((None, 4)), keras.Input((None, 4))
    both = keras.layers.Concatenate()([values, observed])
    filled = keras.layers.RNN(lnn_keras.ForwardFillCell(4), return_sequences=True)(both)
    ```
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(units, bool) or not isinstance(units, int) or units < 1:
            raise ValueError(f"`units` must be an integer of at least 1; received {units!r}.")
        self.units = units
        self.state_size = units
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != 2 * self.units:
            raise ValueError(
                f"ForwardFillCell {self.name!r} with {self.units} units needs {2 * self.units} "
                "input features, values and then masks; received inputs of shape "
                f"{tuple(input_shape)}."
            )
        self.built = True

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, Any]:
        (state,) = states if isinstance(states, list | tuple) else (states,)
        values, observed = ops.split(inputs, 2, axis=-1)
        filled = state + observed * (values - state)
        return filled, [filled]

    def get_initial_state(self, batch_size: Any = None) -> list[Tensor]:
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
