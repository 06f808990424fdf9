"""EachStep: a layer or model that sees one time step at a time, such as the eye of a driver."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="lnn_keras")
class EachStep(keras.layers.TimeDistributed):
    """`keras.layers.TimeDistributed` that puts the steps of a sequence into one batch.

    (batch, time, ...) -> (batch, time, ...): a layer over pictures, or a whole model of such
    layers, becomes one over sequences of them, of any batch and length. It is one call of the
    layer, where the stock one unrolls a loop over a known time, or maps over an unknown one.

    Args:
        layer: A layer or a model without a state over time.
        **kwargs: Those of `keras.layers.Layer`.

    Example:

    ```python
    eye = keras.Sequential(
        [
            keras.layers.Reshape((32, 32, 1)),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
        ]
    )
    frames = keras.Input((None, 1024))
    features = lnn_keras.EachStep(eye)(frames)    # (batch, time, 3600)
    ```
    """

    def call(self, inputs, training=None, mask=None):
        batch, time = ops.shape(inputs)[:2]
        steps = ops.reshape(inputs, (-1, *inputs.shape[2:]))
        # Keras hands `training` on to what is called within a call.
        outputs = self.layer(steps)
        return ops.reshape(outputs, (batch, time, *outputs.shape[1:]))
