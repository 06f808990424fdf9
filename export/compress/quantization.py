"""Quantization-aware training: a model trains with the rounding of an int8 file."""

from typing import Any

import keras

from export.compress.kernels import kernel_ids, require_tensorflow
from export.compress.quantized_layers import QuantizedCell, QuantizedLayer
from export.forms.rnn_layers import (
    bidirectional_with,
    exported_layer,
    functional,
    is_rnn,
    with_cell,
    with_layers,
)
from export.forms.time_axis import is_convolution
from lnn_keras import EachStep, LiquidRNN

# Models saved by earlier versions name subclasses of these layers, which did the same.
keras.saving.get_custom_objects().update(
    {
        "lnn_export>_QuantizedRNN": keras.layers.RNN,
        "lnn_export>_QuantizedLiquidRNN": LiquidRNN,
    }
)
# Layers that are called with rounded kernels, and whose outputs are rounded.
ROUNDED = (keras.layers.Dense, keras.layers.TimeDistributed, EachStep)
# RNN layers whose own code does more than apply their cell.
OTHER_RNNS = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)


def quantize_aware(model: keras.Model) -> keras.Model:
    """A model with the same weights that computes with the 8-bit rounding of an int8 file.

    TFMOT's quantizers round the kernels of recurrent, Dense and Conv1D layers, the inputs and
    states of each step of a cell, and the outputs of all of these; gradients pass them unchanged.
    Layers within `Bidirectional`, `TimeDistributed`, `EachStep` and nested models are rounded as
    well. A kernel is a variable that enters a matrix product, whatever its name. The model shares
    its weights with the trained model. Train it for a few epochs, then export it or the trained
    model: `to_tflite` leaves the quantizers out, as `strip` does.

    Args:
        model: A built Sequential or Functional model.

    Raises:
        ValueError: The model is not built or is subclassed, computes in another type than
            float32, or has a layer with kernels that is none of the above; the message names it.
            Or Keras does not run on TensorFlow.

    Reference: Jacob et al., Quantization and training of neural networks for efficient
    integer-arithmetic-only inference, 2018.
    """
    require_tensorflow()
    model = strip(model)
    kernels = kernel_ids(model)
    return with_layers(model, lambda layer: _quantized(layer, kernels))


def strip(model: keras.Model) -> keras.Model:
    """The model without quantizers. It shares the weights, with their present values.

    Raises:
        ValueError: The model is not built or is subclassed.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model; received {type(model).__name__}.")
    is_sequential = isinstance(model, keras.Sequential)
    if is_sequential and not (model.built and model.inputs):
        raise ValueError(
            f"Model {model.name!r} is not built; call it on data, or add keras.Input, first."
        )
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"Model {model.name!r} ({type(model).__name__}) is subclassed, so its layers' order is "
            "unknown; allowed: Sequential and Functional models."
        )
    return exported_layer(functional(model) if is_sequential else model)


def _quantized(layer: Any, kernels: set[int]) -> Any:
    """The layer with quantizers; itself if it has no kernel."""
    # Operations of a graph such as `x * 2` are no layers.
    if not isinstance(layer, keras.layers.Layer) or not _holds(layer, kernels):
        return layer
    if layer.compute_dtype != "float32":
        raise ValueError(
            f"Layer {layer.name!r} computes in {layer.compute_dtype}; quantize_aware takes "
            "float32. Rebuild the model with dtype float32 and load the same weights."
        )
    if is_rnn(layer) and not isinstance(layer, OTHER_RNNS):
        return with_cell(layer, _quantized_cell(layer.cell))
    if is_convolution(layer) or isinstance(layer, ROUNDED):
        return QuantizedLayer(layer, name=f"{layer.name}_quantized")
    if isinstance(layer, keras.layers.Bidirectional):
        parts = (layer.forward_layer, layer.backward_layer)
        return bidirectional_with(layer, *(_quantized(part, kernels) for part in parts))
    if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
        return with_layers(layer, lambda inner: _quantized(inner, kernels))
    raise ValueError(
        f"Layer {layer.name!r} ({type(layer).__name__}) has kernels that quantize_aware cannot "
        "round; allowed: RNN, LiquidRNN, LSTM, GRU, SimpleRNN, Bidirectional, Dense, Conv1D, "
        "TimeDistributed, EachStep, nested Sequential and Functional models, and layers without "
        "kernels."
    )


def _holds(layer, kernels):
    # Of an LTCCell without any synapse no kernel is left, but its states are rounded.
    return is_rnn(layer) or any(id(variable) in kernels for variable in layer.variables)


def _quantized_cell(cell):
    if isinstance(cell, keras.layers.StackedRNNCells):
        return keras.layers.StackedRNNCells([_quantized_cell(inner) for inner in cell.cells])
    return QuantizedCell(cell)
