"""EachStep: a layer or model applied to every time step of a sequence."""

from typing import Any

import keras

from lnn_keras.tensors import Tensor, ops


@keras.saving.register_keras_serializable(package="lnn_keras")
class EachStep(keras.layers.TimeDistributed):
    """`keras.layers.TimeDistributed` in one call, with time folded into the batch axis.

    (batch, time, ...) -> (batch, time, ...). An image encoder, for instance, becomes a layer over
    image sequences of any batch size and length. The stock layer unrolls a loop over a known
    number of steps, and maps over an unknown one.

    Args:
        layer: A layer or model that keeps no state over time.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    ```python
    encoder = keras.Sequential(
        [
            keras.layers.Reshape((32, 32, 1)),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
        ]
    )
    frames = keras.Input((None, 1024))
    features = lnn_keras.EachStep(encoder)(frames)    # (batch, time, 3600)
    ```
    """

    def call(self, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Tensor:
        batch, time = ops.shape(inputs)[:2]
        steps = ops.reshape(inputs, (-1, *inputs.shape[2:]))
        # Keras passes `training` on to the layers called within a call.
        outputs = self.layer(steps)
        return ops.reshape(outputs, (batch, time, *outputs.shape[1:]))
