"""Models that read an image at each step: their forms and files equal the model."""

import itertools

import keras
import numpy as np
import pytest

import export
from benchmarks.real_defaults import FORMER
from export import to_sequence, to_step
from export.runtimes.keras_step import keras_rollout
from export.tflite_file import flatbuffer
from export.tflite_file.cost import multiply_accumulates
from lnn_keras import EachStep, LiquidCell, LiquidRNN

layers = keras.layers
SIDE = 8
ENCODERS = {
    "convolutions": lambda: [
        layers.Conv2D(6, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(8, 3, activation="relu"),
    ],
    "separable": lambda: [
        layers.DepthwiseConv2D(3, depth_multiplier=4, activation="relu"),
        layers.SeparableConv2D(6, 3, padding="same"),
    ],
    "pools": lambda: [
        layers.ZeroPadding2D(1),
        layers.Conv2D(6, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.BatchNormalization(),
        layers.AveragePooling2D(2),
    ],
}


def model_of(encoder, wrapper=EachStep):
    """Frames (batch, time, 64) to two outputs that depend on the image directly."""
    frames = keras.Input((None, SIDE * SIDE), name="frames")
    inner = [layers.Reshape((SIDE, SIDE, 1)), *ENCODERS[encoder](), layers.Flatten()]
    if wrapper is EachStep:
        encoded = EachStep(keras.Sequential(inner, name="encoder"), name="each")(frames)
    else:
        encoded = frames
        for layer in inner:
            encoded = wrapper(layer)(encoded)
    # The error of int8 is to be that of the encoder: steep gates of few units add more.
    state = LiquidRNN(LiquidCell(6, unfolds=2, **FORMER), return_sequences=True)(encoded)
    return keras.Model(frames, layers.Dense(2)(layers.Concatenate()([state, encoded])))


@pytest.fixture
def frames(random):
    """A bright spot that wanders, so that consecutive frames differ."""
    place = np.cumsum(random.standard_normal((2, 40, 2)), axis=1) % SIDE
    grid = np.stack(np.mgrid[:SIDE, :SIDE], axis=-1)
    distance = ((grid - place[:, :, None, None]) ** 2).sum(-1)
    return np.exp(-distance / 4).reshape(2, 40, -1).astype("float32")


@pytest.mark.parametrize("wrapper", [EachStep, layers.TimeDistributed])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_step_and_sequence_equal_the_model(encoder, wrapper, frames):
    model = model_of(encoder, wrapper)
    expected = model(frames[:, :9])
    sequence = to_sequence(model)({"frames": frames[:, :9]})["output"]
    np.testing.assert_allclose(sequence, expected, atol=1e-5)
    step = to_step(model)
    rolled = keras_rollout(step, {"frames": frames[:, :9]})
    np.testing.assert_allclose(rolled.outputs["output"], expected, atol=1e-5)


# Every encoder in int8, and every recipe with one encoder.
FAST = {(encoder, "int8") for encoder in ENCODERS}
FAST |= {("separable", "float32"), ("convolutions", "int16x8")}


@pytest.mark.parametrize(
    ("encoder", "recipe"),
    [
        pytest.param(*pair, marks=() if pair in FAST else pytest.mark.slow)
        for pair in itertools.product(ENCODERS, ("float32", "int8", "int16x8"))
    ],
)
def test_micro(encoder, recipe, frames, tmp_path):
    """Verified on every runtime of the target, TensorFlow Lite Micro included."""
    report = export.to_tflite(
        model_of(encoder), tmp_path / "out", recipe=recipe, calibration=frames, steps=24
    )
    assert report.passed
    content = (tmp_path / "out/model.tflite").read_bytes()
    dtype = {"float32": "float32", "int8": "int8", "int16x8": "int16"}[recipe]
    kernel = "DEPTHWISE_CONV_2D" if encoder == "separable" else "CONV_2D"
    assert (kernel, dtype) in set(flatbuffer.read_operations(content))
    if (encoder, recipe) == ("separable", "float32"):
        require_counted_products(content)


def require_counted_products(content):
    depthwise, separable = 6 * 6 * 4 * 9, 6 * 6 * (4 * 9 + 4 * 6)
    products = 216 * 6 + 6 * 6 + (216 + 6) * 2
    counted = multiply_accumulates(content)
    # The products of the input and of the state may be computed as one, over both.
    assert depthwise + separable + products <= counted <= depthwise + separable + 2 * products


@pytest.mark.parametrize(
    "recipe", [pytest.param("float32", marks=pytest.mark.slow), "dynamic", "int8"]
)
def test_phone(recipe, frames, tmp_path):
    report = export.to_tflite(
        model_of("convolutions"),
        tmp_path / "out",
        target="phone",
        recipe=recipe,
        calibration=frames,
        steps=24,
    )
    assert report.passed
