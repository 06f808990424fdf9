"""EachStep gives the outputs of the layer called on each step."""

import keras
import numpy as np
import pytest

from lnn_keras import EachStep

layers = keras.layers


def encoder():
    return keras.Sequential(
        [
            layers.Reshape((6, 6, 1)),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


@pytest.mark.parametrize("time", [None, 5])
def test_steps_equal_calls_of_the_layer(time, random):
    """With a known and an unknown number of steps, in a traced model, for two batch sizes."""
    layer = encoder()
    frames = keras.Input((time, 36))
    model = keras.Model(frames, EachStep(layer)(frames))
    assert model.output_shape == (None, time, 3)
    for batch in (2, 7):
        x = random.standard_normal((batch, 5, 36)).astype("float32")
        outputs = model.predict(x, verbose=0)
        for step in range(5):
            expected = keras.ops.convert_to_numpy(layer(x[:, step]))
            np.testing.assert_allclose(outputs[:, step], expected, atol=1e-6)


def test_dropout_is_active_only_in_training(random):
    x = random.standard_normal((2, 5, 36)).astype("float32")
    layer = EachStep(encoder())
    first, second = (keras.ops.convert_to_numpy(layer(x)) for _ in range(2))
    dropped = keras.ops.convert_to_numpy(layer(x, training=True))
    np.testing.assert_array_equal(first, second)
    assert np.abs(dropped - first).max() > 0.01


def test_trains_saves_and_loads(random, tmp_path):
    frames = keras.Input((None, 36))
    model = keras.Model(frames, EachStep(encoder(), name="encoder")(frames))
    x = random.standard_normal((4, 5, 36)).astype("float32")
    before = model.get_weights()
    model.compile("adam", "mse", jit_compile=keras.backend.backend() == "jax")
    # Without it, TensorFlow traces the training step twice.
    model.optimizer.build(model.trainable_variables)
    model.fit(x, np.ones((4, 5, 3)), verbose=0)
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
