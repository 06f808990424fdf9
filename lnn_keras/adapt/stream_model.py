"""StreamModel: a model whose recurrent states are arguments and results, for streams in pieces."""

from typing import Any

import keras
import numpy as np

from lnn_keras.compat import run_graph
from lnn_keras.layers.liquid_rnn import LiquidRNN
from lnn_keras.tensors import ops

# Length of the sequence on which layers are tested; no usual number of features.
_STEPS = 7


class StreamModel(keras.Model):
    """Computes a model on pieces of a stream: from inputs and states to outputs and new states.

    Args:
        model: A built Sequential or Functional model, also with nested ones. Its weights are
            shared.

    Attributes:
        initial_states: The states before the first step, each (1, size).

    Call arguments:
        inputs: A list of the inputs of the model (1, time, ...), followed by the states.

    Returns:
        A list of the outputs, followed by the states after the last step.

    Raises:
        ValueError: The model has no graph, a layer looks at several time steps, or an RNN layer
            runs backwards, or takes or returns its state.
    """

    def __init__(self, model: Any):
        super().__init__(name=f"{model.name}_stream" if hasattr(model, "name") else None)
        self._graph = functional(model)
        self._recurrent, self.initial_states = [], []
        for layer in _recurrent_calls(self._graph):
            copy = _with_returned_states(layer)
            values = keras.tree.flatten(copy.get_initial_state(batch_size=1))
            self._recurrent.append(copy)
            self.initial_states += [ops.convert_to_numpy(value) for value in values]
        self.built = True

    def call(self, inputs: Any) -> list[Any]:
        count = len(self._graph.inputs)
        states, new_states = iter(inputs[count:]), []
        layers = iter(self._recurrent)

        def call(layer, *args, **kwargs):
            if not isinstance(layer, keras.layers.RNN):
                return layer(*args, **kwargs)
            recurrent: Any = next(layers)
            initial = [next(states) for _ in keras.tree.flatten(recurrent.cell.state_size)]
            kwargs.pop("initial_state", None)
            outputs, *new = recurrent(*args, initial_state=initial, **kwargs)
            new_states.extend(keras.tree.flatten(new))
            return outputs

        data = keras.tree.pack_sequence_as(self._graph.input, list(inputs[:count]))
        outputs = _evaluate(self._graph, data, call)
        return [*keras.tree.flatten(outputs), *new_states]


def functional(model: Any) -> Any:
    """A Sequential or Functional model as a Functional one.

    Raises:
        ValueError: It is not built, or it is subclassed.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        named = f"Model {model.name!r}" if hasattr(model, "name") else type(model).__name__
        raise ValueError(
            f"{named} has no graph: build it as a Sequential or Functional model with keras.Input."
        )
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model


def _evaluate(model, inputs, call):
    """The outputs of a Functional model, with every layer of it and of nested ones by `call`."""

    def call_or_enter(layer, *args, **kwargs):
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            return _evaluate(functional(layer), args[0], call)
        return call(layer, *args, **kwargs)

    return run_graph(model, inputs, call_or_enter)


def _recurrent_calls(graph):
    """The RNN layers in the order of their calls. Every other layer must act on single steps."""
    found = []

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        if isinstance(layer, keras.layers.RNN):
            if layer.go_backwards or layer.return_state or kwargs.get("initial_state") is not None:
                raise ValueError(
                    f"RNN layer {layer.name!r} runs backwards, or takes or returns its state; a "
                    "stream needs a layer that runs forwards and keeps its state to itself."
                )
            found.append(layer)
        elif _mixes_steps(layer, args, kwargs, outputs):
            raise ValueError(
                f"Layer {layer.name!r} ({type(layer).__name__}) looks at several time steps, so "
                "the model cannot predict a stream step by step. Use layers that act on each step, "
                "and RNN layers that run forwards."
            )
        return outputs

    random = np.random.default_rng(0)

    def noise(tensor):
        shape = (1, *(size or _STEPS for size in tensor.shape[1:]))
        return ops.convert_to_tensor(random.uniform(0.1, 1.0, shape), tensor.dtype)

    _evaluate(graph, keras.tree.map_structure(noise, graph.input), call)
    return found


def _mixes_steps(layer, args, kwargs, outputs):
    """Whether a layer's outputs at one step depend on other steps."""

    def one_step(value):
        has_time = hasattr(value, "shape") and len(value.shape) > 1 and value.shape[1] == _STEPS
        return value[:, _STEPS - 2 : _STEPS - 1] if has_time else value

    arguments: Any = keras.tree.map_structure(one_step, args)
    found = layer(*arguments, **kwargs)
    return not all(
        _is_close(one, one_step(whole))
        for one, whole in zip(keras.tree.flatten(found), keras.tree.flatten(outputs), strict=True)
    )


def _is_close(one, other):
    one, other = (np.asarray(ops.convert_to_numpy(tensor)) for tensor in (one, other))
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-3, atol=1e-5)


def _with_returned_states(layer):
    """A copy of an RNN layer with the same cell, which returns its states."""
    if isinstance(layer, LiquidRNN):
        copy: Any = layer.with_cell(layer.cell)
        copy.stateful, copy.return_state = False, True
        return copy
    return keras.layers.RNN(
        layer.cell,
        return_sequences=layer.return_sequences,
        return_state=True,
        unroll=layer.unroll,
        zero_output_for_mask=layer.zero_output_for_mask,
        dtype=layer.dtype_policy,
        name=layer.name,
    )
