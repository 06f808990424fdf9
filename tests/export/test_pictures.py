"""Models that see a picture at each step: the forms equal the model, and files equal the forms."""

import keras
import numpy as np
import pytest

import export
from export import to_sequence, to_step
from export.runtimes.keras_step import KerasStep
from export.runtimes.rollout import rollout
from export.tflite_file import flatbuffer
from export.tflite_file.cost import multiply_accumulates
from lnn_keras import EachStep, LiquidCell, LiquidRNN

layers = keras.layers
SIDE = 8
EYES = {
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


def model_of(eye, wrapper=EachStep):
    """Frames (batch, time, 64) to two numbers, in which the frames matter."""
    frames = keras.Input((None, SIDE * SIDE), name="frames")
    within = [layers.Reshape((SIDE, SIDE, 1)), *EYES[eye](), layers.Flatten()]
    if wrapper is EachStep:
        seen = EachStep(keras.Sequential(within, name="eye"), name="see")(frames)
    else:
        seen = frames
        for layer in within:
            seen = wrapper(layer)(seen)
    state = LiquidRNN(LiquidCell(6), return_sequences=True)(seen)
    return keras.Model(frames, layers.Dense(2)(layers.Concatenate()([state, seen])))


@pytest.fixture
def frames(random):
    """A bright spot that wanders, so that one frame differs from the next."""
    place = np.cumsum(random.standard_normal((3, 80, 2)), axis=1) % SIDE
    grid = np.stack(np.mgrid[:SIDE, :SIDE], axis=-1)
    distance = ((grid - place[:, :, None, None]) ** 2).sum(-1)
    return np.exp(-distance / 4).reshape(3, 80, -1).astype("float32")


@pytest.mark.parametrize("wrapper", [EachStep, layers.TimeDistributed])
@pytest.mark.parametrize("eye", EYES)
def test_step_and_sequence_equal_the_model(eye, wrapper, frames):
    model = model_of(eye, wrapper)
    expected = keras.ops.convert_to_numpy(model(frames[:, :9]))
    sequence = to_sequence(model).predict({"frames": frames[:, :9]}, verbose=0)["output"]
    np.testing.assert_allclose(sequence, expected, atol=1e-5)
    step = to_step(model)
    initial = {state.name: state.initial for state in step.states}
    rolled = rollout(KerasStep(step), {"frames": frames[0, :9]}, initial)
    np.testing.assert_allclose(rolled.outputs["output"], expected[0], atol=1e-5)


@pytest.mark.parametrize("recipe", ["float32", "int8", "int16x8"])
@pytest.mark.parametrize("eye", EYES)
def test_micro(eye, recipe, frames, tmp_path):
    """Verified on every runtime, TensorFlow Lite Micro among them."""
    report = export.to_tflite(
        model_of(eye), tmp_path / "out", recipe=recipe, calibration=frames, steps=60
    )
    assert report.passed
    content = (tmp_path / "out/model.tflite").read_bytes()
    dtype = {"float32": "float32", "int8": "int8", "int16x8": "int16"}[recipe]
    kernel = "DEPTHWISE_CONV_2D" if eye == "separable" else "CONV_2D"
    assert (kernel, dtype) in set(flatbuffer.read_operations(content))


@pytest.mark.parametrize("recipe", ["float32", "dynamic", "int8"])
def test_phone(recipe, frames, tmp_path):
    report = export.to_tflite(
        model_of("convolutions"),
        tmp_path / "out",
        target="phone",
        recipe=recipe,
        calibration=frames,
        steps=60,
    )
    assert report.passed


def test_multiply_accumulates_of_convolutions(frames, tmp_path):
    out = tmp_path / "out"
    export.to_tflite(model_of("separable"), out, recipe="float32", calibration=frames, steps=20)
    depthwise, separable = 6 * 6 * 4 * 9, 6 * 6 * (4 * 9 + 4 * 6)
    products = 216 * 6 + 6 * 6 + (216 + 6) * 2
    found = multiply_accumulates((out / "model.tflite").read_bytes())
    # The input's and the state's product may be one of both side by side.
    assert depthwise + separable + products <= found <= depthwise + separable + 2 * products


def test_what_is_refused_is_named():
    frames = keras.Input((None, 36), name="frames")
    rows = keras.Sequential([layers.Reshape((6, 6)), layers.LSTM(3, name="reader")])
    with pytest.raises(ValueError, match=r"'reader' \(LSTM\) within 'see'.*Allowed: .*Conv2D"):
        to_step(keras.Model(frames, EachStep(rows, name="see")(frames)))
    pooled = layers.GlobalAveragePooling1D(name="pool")(frames)
    with pytest.raises(ValueError, match=r"'pool'.*wrap it in lnn_keras.EachStep"):
        to_step(keras.Model(frames, pooled))
