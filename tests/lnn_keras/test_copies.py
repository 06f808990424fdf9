"""Copies of a LiquidRNN keep its arguments, `remat` and `parallel` among them."""

import keras
import pytest

from lnn_keras import CfCCell, LiquidCell, LiquidRNN

OPTIONS = {
    "return_sequences": True,
    "return_state": True,
    "go_backwards": True,
    "stateful": True,
    "unroll": True,
    "zero_output_for_mask": True,
}


def config_without_cell(layer):
    config = layer.get_config()
    del config["cell"]
    return config


def test_a_copy_with_another_cell():
    layer = LiquidRNN(LiquidCell(3), remat=4, dtype="float64", name="liquid", **OPTIONS)
    layer.trainable = False
    cell = CfCCell(2)
    copy = layer.with_cell(cell)
    assert copy.cell is cell
    assert config_without_cell(copy) == config_without_cell(layer)
    assert copy.get_config()["remat"] == 4


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="runs on JAX only")
def test_a_copy_keeps_parallel():
    layer = LiquidRNN(LiquidCell(3), parallel="newton")
    assert layer.with_cell(CfCCell(2)).parallel == "newton"


def test_a_cloned_model_keeps_remat():
    model = keras.Sequential([keras.Input((6, 2)), LiquidRNN(LiquidCell(3), remat=2)])
    assert keras.models.clone_model(model).layers[0].remat == 2


def test_both_directions_keep_remat():
    layer = keras.layers.Bidirectional(LiquidRNN(LiquidCell(3), remat=2))
    assert (layer.forward_layer.remat, layer.backward_layer.remat) == (2, 2)
    copy = type(layer).from_config(layer.get_config())
    assert (copy.forward_layer.remat, copy.backward_layer.remat) == (2, 2)
