"""The sequence form: a Keras model over sequences of any batch and length, for plain runtimes."""

from typing import Any

import keras
from keras import ops

from export.forms.causal_conv import CausalConvolution, past_rows
from export.forms.form import Form
from export.forms.model_graph import ModelGraph, read_graph
from export.forms.refusals import NoStepFormError, require_layers_within, rnn_arguments
from export.forms.rnn_forms import RecurrentSequence
from export.forms.rnn_layers import is_rnn
from export.forms.time_axis import EACH_STEP, is_convolution, read_time_axis
from lnn_keras import EachStep


def to_sequence(model: keras.Model) -> Form:
    """Rebuild a model from operations that plain runtimes have.

    RNN layers become loops that write each output into one tensor, causal convolutions become
    matrix products of shifted rows; every other layer is reused. Weights are shared, not copied.
    Each sequence starts from the layers' initial states.

    Args:
        model: A built Sequential or Functional model.

    Returns:
        Model from a dict of inputs by name to a dict of outputs by name, with the names of
        `to_step`. The batch is any; so is the length, unless the model has a fixed length and a
        layer without a step form, which may depend on it.

    Raises:
        ValueError: The model is not built, is subclassed or computes in another type than
            float32.
    """
    graph = read_graph(model)
    any_length = _takes_any_length(graph)
    specs = {
        name: keras.KerasTensor(_shape(value, any_length), _dtype(value.dtype), name=name)
        for name, value in graph.inputs.items()
    }

    def evaluate(inputs):
        return graph.evaluate(inputs, _call)

    return Form(graph, evaluate, specs, f"{graph.name}_sequence")


def _takes_any_length(graph: ModelGraph) -> bool:
    try:
        read_time_axis(graph)
    except NoStepFormError:
        return False
    return True


def _shape(value, any_length):
    return (None, None, *value.shape[2:]) if any_length else (None, *value.shape[1:])


def _dtype(dtype):
    # Plain runtimes compute in 32 bits.
    return "float32" if dtype.startswith(("float", "bfloat")) else dtype


def _call(call, *args, **kwargs):
    layer = call.layer
    if is_rnn(layer):
        return _run_rnn(layer, args, kwargs)
    if isinstance(layer, keras.layers.Bidirectional):
        return _run_both_ways(layer, *args, **kwargs)
    if is_convolution(layer) and layer.padding == "causal":
        return _convolve(layer, *args)
    if type(layer) in EACH_STEP:
        require_layers_within(layer)
        # A traced TimeDistributed confuses the number of steps with the batch size.
        return EachStep(layer.layer, name=layer.name)(*args)
    return layer(*args, **kwargs)


def _run_rnn(layer: keras.layers.RNN, args: Any, kwargs: Any) -> Any:
    arguments = rnn_arguments(layer, args, kwargs)
    return RecurrentSequence(layer)(
        arguments["sequences"],
        initial_state=arguments.get("initial_state"),
        mask=arguments.get("mask"),
        elapsed=arguments.get("elapsed"),
    )


def _run_both_ways(
    layer: keras.layers.Bidirectional,
    sequences: Any,
    initial_state: Any = None,
    mask: Any = None,
    elapsed: Any = None,
) -> Any:
    """A Bidirectional layer by loops of plain operations, merged as Keras merges them."""
    halves = [None, None]
    if initial_state is not None:
        half = len(initial_state) // 2
        halves = [initial_state[:half], initial_state[half:]]
    results = [
        RecurrentSequence(inner)(sequences, initial_state=half, mask=mask, elapsed=elapsed)
        for inner, half in zip((layer.forward_layer, layer.backward_layer), halves, strict=True)
    ]
    states = []
    if layer.return_state:
        states = [state for result in results for state in result[1:]]
        results = [result[0] for result in results]
    forward, backward = results
    if layer.return_sequences:
        backward = ops.flip(backward, axis=1)
    merged: Any = {
        "concat": lambda: [ops.concatenate([forward, backward], axis=-1)],
        "sum": lambda: [forward + backward],
        "ave": lambda: [(forward + backward) / 2],
        "mul": lambda: [forward * backward],
        None: lambda: [forward, backward],
    }[layer.merge_mode]()
    return [*merged, *states] if len(merged) + len(states) > 1 else merged[0]


def _convolve(layer, sequences):
    padded = ops.pad(sequences, [[0, 0], [past_rows(layer), 0], [0, 0]])
    return CausalConvolution(layer)(padded)
