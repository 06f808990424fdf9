"""Models without a step form are refused, with the layer and the reason."""

import keras
import numpy as np
import pytest

from export import to_step
from lnn_keras import EachStep

layers = keras.layers


def sequential(*inner):
    return keras.Sequential([keras.Input((8, 4)), *inner])


def first_step():
    inputs = keras.Input((8, 4))
    return keras.Model(inputs, layers.LSTM(3, return_sequences=True)(inputs)[:, 0])


def two_strides():
    inputs = keras.Input((None, 4))
    slow = layers.Conv1D(4, 3, strides=2, padding="causal")(inputs)
    return keras.Model(inputs, layers.Add()([slow, inputs]))


def sequence_and_last_step():
    inputs = keras.Input((None, 4))
    hidden = layers.LSTM(4, return_sequences=True)(inputs)
    return keras.Model(inputs, layers.Add(name="mix")([hidden, hidden[:, -1]]))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: sequential(layers.Bidirectional(layers.LSTM(3))),
            r"\(Bidirectional\) reads.*back",
        ),
        (lambda: sequential(layers.LSTM(3, go_backwards=True)), "runs backwards"),
        (
            lambda: sequential(layers.LSTM(3, return_sequences=True), layers.GlobalMaxPooling1D()),
            r"'global_max_pooling1d.*\(GlobalMaxPooling1D\) looks at a whole sequence at once",
        ),
        (lambda: sequential(layers.Conv1D(3, 2)), r"\(Conv1D\) has padding='valid'"),
        (lambda: sequential(layers.Flatten()), r"\(Flatten\) looks at a whole sequence"),
        (lambda: first_step(), r"'get_item' \(GetItem\) looks at several time steps"),
        (sequence_and_last_step, r"'mix' \(Add\) joins a sequence with a tensor that has no time"),
        (lambda: two_strides(), r"joins tensors that have passed different strides: \[1, 2\]"),
        (
            lambda: sequential(layers.Masking(), layers.LSTM(2)),
            r"\(Masking\) skips time steps by their values",
        ),
        (
            lambda: sequential(layers.LayerNormalization(axis=1), layers.LSTM(2)),
            r"\(LayerNormalization\) takes no float32 sequences of 7",
        ),
        (lambda: keras.Sequential([layers.LSTM(3)]), "is not built"),
        (lambda: "model", "must be a keras.Model; received str"),
        (
            lambda: sequential(layers.LSTM(3, dtype="mixed_float16")),
            "computes in float16; export takes float32",
        ),
    ],
)
def test_models_without_a_step_form_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        to_step(model())


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    model = Own()
    model(np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match="is subclassed"):
        to_step(model)


def test_layers_within_each_step_are_checked():
    frames = keras.Input((None, 36), name="frames")
    rows = keras.Sequential([layers.Reshape((6, 6)), layers.LSTM(3, name="reader")])
    with pytest.raises(ValueError, match=r"'reader' \(LSTM\) within 'see'.*Allowed: .*Conv2D"):
        to_step(keras.Model(frames, EachStep(rows, name="see")(frames)))
    pooled = layers.GlobalAveragePooling1D(name="pool")(frames)
    with pytest.raises(ValueError, match=r"'pool'.*wrap it in lnn_keras.EachStep"):
        to_step(keras.Model(frames, pooled))
