"""Layers that export copies keep `remat`, and files of earlier versions load."""

import keras
import numpy as np
import pytest

from export.compress import quantize_aware, strip
from lnn_keras import LiquidCell, LiquidRNN


@pytest.fixture(scope="module")
def model():
    return keras.Sequential(
        [keras.Input((6, 2)), LiquidRNN(LiquidCell(3, unfolds=1), remat=2, name="liquid")]
    )


def test_quantized_and_stripped_models_keep_remat(model):
    aware = quantize_aware(model)
    assert aware.get_layer("liquid").remat == 2
    stripped = strip(aware).get_layer("liquid")
    assert type(stripped) is LiquidRNN
    assert stripped.remat == 2


@pytest.mark.parametrize(
    ("earlier", "kind"),
    [("_QuantizedLiquidRNN", LiquidRNN), ("_QuantizedRNN", keras.layers.RNN)],
)
def test_layers_of_earlier_versions_load(model, earlier, kind):
    """Version 0.1.0 saved quantized layers under the names of subclasses."""
    layer = quantize_aware(model).get_layer("liquid")
    if kind is not LiquidRNN:
        layer = keras.layers.RNN(layer.cell)
    saved = keras.saving.serialize_keras_object(layer)
    saved.update(
        module="export.quantization", class_name=earlier, registered_name=f"lnn_export>{earlier}"
    )
    assert type(keras.saving.deserialize_keras_object(saved)) is kind


def test_training_moves_the_ranges_and_predicting_does_not(model):
    """`training` reaches the quantizers as an argument of the cell's methods."""
    aware = quantize_aware(model)
    x = np.ones((2, 6, 2), "float32")
    ranges = [v for v in aware.non_trainable_variables if "activation" in v.path]
    aware(x, training=False)
    assert not any(np.any(v.numpy()) for v in ranges)
    aware(x, training=True)
    assert any(np.any(v.numpy()) for v in ranges)


def test_dropout_within_a_quantized_cell():
    """The RNN layer draws the masks of the inner cell once, before its loop."""
    cell = keras.layers.GRUCell(3, dropout=0.5, recurrent_dropout=0.5, seed=1)
    model = keras.Sequential([keras.Input((4, 2)), keras.layers.RNN(cell)])
    aware = quantize_aware(model)
    aware.compile("sgd", "mse", jit_compile=False)
    x = np.random.default_rng(0).standard_normal((4, 4, 2)).astype("float32")
    losses = [aware.train_on_batch(x, np.ones((4, 3))) for _ in range(3)]
    assert np.isfinite(losses).all()
    first, second = aware.predict(x, verbose=0), aware.predict(x, verbose=0)
    np.testing.assert_array_equal(first, second)
