"""NODECell: a neural ordinary differential equation, driven by the input."""

import keras
from keras import ops

from lnn_keras.cells.ode import DenseODECell


@keras.saving.register_keras_serializable(package="lnn_keras")
class NODECell(DenseODECell):
    """A neural ODE with leak.

        g     = activation(x kernel + h recurrent_kernel + bias)
        dh/dt = -h/tau + g

    with `unfolds` steps of a solver per call; "semi_implicit" is

        h <- (h + delta g) / (1 + delta/tau),    delta = elapsed / unfolds.

    Args, call arguments and errors are those of `DenseODECell`, and

        activation: Activation of g; a bounded one keeps |h| <= tau.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.NODECell(32, solver="rk4", unfolds=2))
    ```

    Reference: Chen et al., Neural Ordinary Differential Equations, NeurIPS 2018.
    """

    def __init__(self, units: int, *, activation="tanh", **kwargs):
        super().__init__(units, **kwargs)
        self.activation = keras.activations.get(activation)

    def increments(self, projected, h, delta, leak):
        g = self.activation(projected + ops.matmul(h, self.recurrent_kernel))
        return delta * g, delta * leak

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
        }
