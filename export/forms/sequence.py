"""The sequence form: any Keras model around RNN layers, over sequences of any batch and length."""

import keras
from keras import ops

from export.forms.causal_conv import CausalConvolution, past_rows
from export.forms.rnn_forms import RecurrentSequence
from export.forms.rnn_layers import is_rnn
from export.forms.supported_layers import (
    as_functional,
    call_pointwise,
    is_convolution,
    is_last_step,
    output_names,
    require_form,
    require_last_step,
    rnn_arguments,
)


def to_sequence(model: keras.Model) -> keras.Model:
    """Turn a model into the same model of operations that plain runtimes have.

    RNN layers become loops that write each output into its place, convolutions become
    matrix products of shifted rows; every other layer is used as it is. The weights are
    shared, not copied. Each sequence starts from the layers' initial states.

    Args:
        model: A built Sequential or Functional model. Its inputs are
            (batch, time, features), or (batch, time) for elapsed times.

    Returns:
        Model from a dict of the inputs by name, of any batch and time, to a dict of the
        outputs by name, those of `to_step`.

    Raises:
        ValueError: What `to_step` refuses.
    """
    functional = as_functional(model)

    def call_sequence(layer, *args, **kwargs):
        if is_last_step(layer):
            require_last_step(layer, args[1])
        elif is_rnn(layer):
            return RecurrentSequence(layer)(*rnn_arguments(layer, args, kwargs))
        elif is_convolution(layer):
            return _convolve(layer, *args)
        return call_pointwise(layer, *args, **kwargs)

    inputs = {
        tensor.name: keras.Input((None, *tensor.shape[2:]), dtype=tensor.dtype, name=tensor.name)
        for tensor in functional.inputs
    }
    traced = keras.models.clone_model(
        keras.Model({tensor.name: tensor for tensor in functional.inputs}, functional.outputs),
        input_tensors=inputs,
        clone_function=require_form,
        call_function=call_sequence,
    )
    outputs = dict(zip(output_names(functional), traced.outputs, strict=True))
    return keras.Model(inputs, outputs, name=f"{model.name}_sequence")


def _convolve(layer, sequences):
    past = ops.pad(sequences, [[0, 0], [past_rows(layer), 0], [0, 0]])
    return CausalConvolution(layer)(past)
