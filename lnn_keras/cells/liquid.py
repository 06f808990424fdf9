"""LiquidCell: the liquid time-constant cell."""

import keras
from keras import ops

from lnn_keras.cells.ode import DenseODECell


@keras.saving.register_keras_serializable(package="lnn_keras")
class LiquidCell(DenseODECell):
    """A liquid time-constant cell, at the level of neurons.

        f     = sigmoid(x kernel + h recurrent_kernel + bias)
        dh/dt = -(1/tau + f) h + f A

    with the fused semi-implicit step, `unfolds` times per call,

        h <- (h + delta f A) / (1 + delta (1/tau + f)),    delta = elapsed / unfolds.

    The gate f sets both the input and the effective time constant
    tau / (1 + tau f), which lies between tau / (1 + tau) and tau; each state
    stays between min(0, A) and max(0, A) (theorems 1 and 2 of the paper).

    Args, call arguments and errors are those of `DenseODECell`, and

        reversal_initializer: Initializer of the reversal potentials A (units,); by
            default uniform between -1 and 1.

    Example:

    ```python
    layer = keras.layers.RNN(lnn_keras.LiquidCell(32), return_sequences=True)
    ```

    Reference: Hasani et al., Liquid Time-constant Networks, AAAI 2021, eq. 1-3.
    """

    def __init__(self, units: int, *, reversal_initializer=None, **kwargs):
        super().__init__(units, **kwargs)
        # With A = 0 a state could never leave 0, so the default has both signs.
        if reversal_initializer is None:
            reversal_initializer = keras.initializers.RandomUniform(-1.0, 1.0)
        self.reversal_initializer = keras.initializers.get(reversal_initializer)

    def build(self, input_shape):
        super().build(input_shape)
        self.reversal = self.add_weight(
            name="reversal", shape=(self.units,), initializer=self.reversal_initializer
        )

    def increments(self, projected, h, delta, leak):
        f = ops.sigmoid(projected + ops.matmul(h, self.recurrent_kernel))
        return f * (delta * self.reversal), delta * leak + delta * f

    def get_config(self):
        return {
            **super().get_config(),
            "reversal_initializer": keras.initializers.serialize(self.reversal_initializer),
        }
