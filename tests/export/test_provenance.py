"""The sha256 of a model: the same for the same model, whatever Keras's counters are."""

import keras
import numpy as np
import pytest

from export.verification.provenance import model_sha256
from lnn_keras import LiquidCell, LiquidRNN

layers = keras.layers


def sequential(units=4, activation="tanh"):
    return keras.Sequential(
        [keras.Input((None, 3)), layers.LSTM(units, activation=activation), layers.Dense(2)]
    )


def functional():
    """Operators, elapsed times, wrappers, a nested model, several outputs by name."""
    x, elapsed = keras.Input((None, 3)), keras.Input((None,))
    y = LiquidRNN(LiquidCell(4, unfolds=1), return_sequences=True)(x * 2.0, elapsed=elapsed)
    part = keras.Sequential(
        [
            keras.Input((None, 4)),
            layers.Bidirectional(layers.GRU(3, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(2)),
        ]
    )
    y = part(y)
    return keras.Model({"a": x, "b": elapsed}, {"first": y, "second": layers.Dense(1)(y)})


def difference(order):
    """The input and its product with a matrix, subtracted in an order."""
    x = keras.Input((None, 3))
    terms = [x, layers.Dense(3, use_bias=False)(x)]
    return keras.Model(x, layers.Subtract()([terms[i] for i in order]))


def rebuilt(model, build):
    """The model built again in the same process, with the same weights."""
    again = build()
    again.set_weights(model.get_weights())
    assert [layer.name for layer in again.layers] != [layer.name for layer in model.layers]
    return again


@pytest.mark.parametrize("build", [sequential, functional])
def test_a_reloaded_or_rebuilt_model_has_the_same_digest(build, tmp_path):
    model = build()
    digest = model_sha256(model)
    model.compile("adam", "mse")
    model.save(tmp_path / "model.keras")
    assert model_sha256(keras.saving.load_model(tmp_path / "model.keras")) == digest
    assert model_sha256(rebuilt(model, build)) == digest
    assert model_sha256(model) == digest


def test_another_model_has_another_digest():
    model = sequential()
    digests = {model_sha256(model)}
    for other in (
        rebuilt(model, lambda: sequential(activation="relu")),
        sequential(),
        sequential(units=5),
    ):
        digests.add(model_sha256(other))
    weights = model.get_weights()
    weights[0][0, 0] = np.nextafter(weights[0][0, 0], np.float32(1))
    model.set_weights(weights)
    digests.add(model_sha256(model))
    assert len(digests) == 5


def test_the_order_of_arguments_counts():
    """Names do not count, but which result goes where does."""
    first, second = difference([0, 1]), difference([1, 0])
    second.set_weights(first.get_weights())
    assert model_sha256(first) != model_sha256(second)


def test_names_of_inputs_and_outputs_count():
    x = keras.Input((None, 3))
    y = layers.LSTM(2)(x)
    digests = {
        model_sha256(keras.Model(inputs, outputs))
        for inputs, outputs in ((x, y), ({"a": x}, y), (x, {"b": y}))
    }
    assert len(digests) == 3


def test_states_of_a_stateful_layer_do_not_count():
    model = keras.Sequential([keras.Input((3, 2), batch_size=1), layers.LSTM(2, stateful=True)])
    digest = model_sha256(model)
    model.predict(np.ones((1, 3, 2)), verbose=0)
    assert np.any(model.layers[0].states[0])
    assert model_sha256(model) == digest


class CellWithoutConfig(layers.Layer):
    state_size = output_size = 2

    def __init__(self, initial_values):
        super().__init__()
        self.initial_values = initial_values

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 2))

    def call(self, inputs, states):
        state = inputs @ self.kernel + states[0]
        return state, [state]


def test_a_model_without_config_has_a_digest():
    """Keras cannot save it, but it can be exported."""
    cell = CellWithoutConfig(np.random.default_rng(0))
    model = keras.Sequential([keras.Input((None, 3)), layers.RNN(cell)])
    with pytest.raises(Exception):  # noqa: B017 - Keras raises several kinds
        keras.saving.serialize_keras_object(model.get_config())
    digest = model_sha256(model)
    assert len(digest) == 64
    model.set_weights([weight + 1 for weight in model.get_weights()])
    assert model_sha256(model) != digest
