"""EachStep: one call of a layer gives for a sequence what many calls give for its steps."""

import keras
import numpy as np
import pytest

from lnn_keras import EachStep

layers = keras.layers


def eye():
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
def test_each_step_alone(time, random):
    """With a time that is known and one that is not; predict, which traces, included."""
    seen = eye()
    frames = keras.Input((time, 36))
    model = keras.Model(frames, EachStep(seen)(frames))
    assert model.output_shape == (None, time, 3)
    for batch in (2, 7):
        x = random.standard_normal((batch, 5, 36)).astype("float32")
        together = model.predict(x, verbose=0)
        for step in range(5):
            alone = seen.predict(x[:, step], verbose=0)
            np.testing.assert_allclose(together[:, step], alone, atol=1e-6)


def test_dropout_within_works_in_training_alone(random):
    x = random.standard_normal((2, 5, 36)).astype("float32")
    layer = EachStep(eye())
    still, again = (keras.ops.convert_to_numpy(layer(x)) for _ in range(2))
    moved = keras.ops.convert_to_numpy(layer(x, training=True))
    np.testing.assert_array_equal(still, again)
    assert np.abs(moved - still).max() > 0.01


def test_trains_and_comes_back_from_a_file(random, tmp_path):
    frames = keras.Input((None, 36))
    model = keras.Model(frames, EachStep(eye(), name="see")(frames))
    x = random.standard_normal((4, 5, 36)).astype("float32")
    before = model.get_weights()
    model.compile("adam", "mse")
    model.fit(x, np.ones((4, 5, 3)), verbose=0)
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
