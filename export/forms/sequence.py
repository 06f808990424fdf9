"""The sequence form: a Keras model over sequences of any batch and length, for plain runtimes."""

import keras
from keras import ops

from export.forms import supported_layers
from export.forms.causal_conv import CausalConvolution, past_rows
from export.forms.rnn_forms import RecurrentSequence
from export.forms.rnn_layers import is_rnn


def to_sequence(model: keras.Model) -> keras.Model:
    """Rebuild a model from operations that plain runtimes have.

    RNN layers become loops that write each output into one tensor, convolutions become matrix
    products of shifted rows; every other layer is reused. Weights are shared, not copied. Each
    sequence starts from the layers' initial states.

    Args:
        model: A built Sequential or Functional model with inputs (batch, time, features), or
            (batch, time) for elapsed times.

    Returns:
        Model from a dict of inputs by name, of any batch and time, to a dict of outputs by name,
        with the names of `to_step`.

    Raises:
        ValueError: The model is one that `to_step` refuses.
    """
    functional = supported_layers.as_functional(model)

    def call_sequence(layer, *args, **kwargs):
        if supported_layers.is_last_step(layer):
            supported_layers.require_last_step(layer, args[1])
        elif is_rnn(layer):
            arguments = supported_layers.rnn_arguments(layer, args, kwargs)
            return RecurrentSequence(layer)(*arguments)
        elif supported_layers.is_convolution(layer):
            return _convolve(layer, *args)
        return supported_layers.call_pointwise(layer, *args, **kwargs)

    inputs = {
        tensor.name: keras.Input((None, *tensor.shape[2:]), dtype=tensor.dtype, name=tensor.name)
        for tensor in functional.inputs
    }
    traced = keras.models.clone_model(
        keras.Model({tensor.name: tensor for tensor in functional.inputs}, functional.outputs),
        input_tensors=inputs,
        clone_function=supported_layers.require_form,
        call_function=call_sequence,
    )
    names = supported_layers.output_names(functional)
    outputs = dict(zip(names, traced.outputs, strict=True))
    return keras.Model(inputs, outputs, name=f"{model.name}_sequence")


def _convolve(layer, sequences):
    padded = ops.pad(sequences, [[0, 0], [past_rows(layer), 0], [0, 0]])
    return CausalConvolution(layer)(padded)
