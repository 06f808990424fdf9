"""CTRNNCell: the continuous-time recurrent neural network."""

import keras
from keras import ops

from lnn_keras.cells.ode import DenseODECell


@keras.saving.register_keras_serializable(package="lnn_keras")
class CTRNNCell(DenseODECell):
    """A continuous-time recurrent neural network.

        tau dh/dt = -h + activation(h) recurrent_kernel + x kernel + bias

    with `unfolds` steps of a solver per call; "semi_implicit" is

        h <- (h + delta/tau z) / (1 + delta/tau),    delta = elapsed / unfolds.

    Args, call arguments and errors are those of `DenseODECell`, and

        activation: What the neurons send to each other.

    Reference: Funahashi and Nakamura, Approximation of dynamical systems by continuous
    time recurrent neural networks, Neural Networks 6, 1993, eq. 2.
    """

    def __init__(self, units: int, *, activation="tanh", **kwargs):
        super().__init__(units, **kwargs)
        self.activation = keras.activations.get(activation)

    def increments(self, projected, h, delta, leak):
        z = projected + ops.matmul(self.activation(h), self.recurrent_kernel)
        rate = delta * leak
        return rate * z, rate

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
        }
