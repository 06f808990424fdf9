"""The step form: a Keras model as one time step, with its states as inputs and outputs."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from export.forms import supported_layers
from export.forms.causal_conv import CausalConvolution, past_rows
from export.forms.folded_normalization import (
    Scaling,
    foldable_layers,
    scaling_of_input,
    scaling_of_output,
)
from export.forms.rnn_forms import RecurrentStep
from export.forms.rnn_layers import is_rnn
from export.forms.supported_layers import is_convolution

NEXT = "next_"  # output `next_h` is the state that the next step takes as input `h`


@dataclass(frozen=True)
class State:
    """A state tensor: the name of its input (the output has the prefix `next_`), initial value."""

    name: str
    initial: np.ndarray


@dataclass(frozen=True)
class Step:
    """A model as one time step.

    Attributes:
        model: Keras model from a dict of tensors (batch, ...) to a dict of tensors: inputs and
            states to outputs and next states, by name.
        inputs: Names of the data inputs, in the order of the original model.
        outputs: Names of the outputs, in the order of the original model.
        states: The state tensors.
        scalings: By name of each input and output, its conversion to real values.
        rows: Rows of data per step: 1, or the product of the convolutions' strides. Inputs are
            (batch, features), or (batch, rows, features).
    """

    model: keras.Model
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[State, ...]
    scalings: dict[str, Scaling]
    rows: int = 1

    @property
    def initial_states(self) -> dict[str, np.ndarray]:
        """Initial value of each state, by name."""
        return {state.name: state.initial for state in self.states}

    def features(self, name: str) -> int:
        """Return the number of features of an input."""
        inputs: Any = self.model.input
        return inputs[name].shape[-1]


def to_step(model: keras.Model, fold_scaling: bool = False) -> Step:
    """Turn a model over sequences into a model of one time step.

    Every RNN layer becomes its cell, with the state as an input and an output. A causal Conv1D
    keeps its past rows as such a state. Every other layer must act on each time step
    independently and is reused. Weights are shared, not copied.

    Args:
        model: A built Sequential or Functional model with inputs (batch, time, features), or
            (batch, time) for elapsed times.
        fold_scaling: Leave out a Normalization or Rescaling layer at the model's inputs and
            outputs, and put its effect into `scalings`.

    Raises:
        ValueError: The model is not built, is subclassed, computes in another type than float32,
            or has a layer without a step form; the message names it.
    """
    functional = supported_layers.as_functional(model)
    rows = _rows_per_step(functional)
    states = {layer.name: _states(layer) for layer in functional.layers}
    state_inputs = {
        state.name: keras.Input(state.initial.shape[1:], name=state.name)
        for layer_states in states.values()
        for state in layer_states
    }
    next_states = {}
    first, last = foldable_layers(functional) if fold_scaling else ({}, {})
    folded = [*first.values(), *last.values()]

    def call_step(layer, *args, **kwargs):
        if any(layer is folded_layer for folded_layer in folded):
            return args[0]
        if supported_layers.is_last_step(layer):
            supported_layers.require_last_step(layer, args[1])
            return args[0][:, -1] if len(args[0].shape) == 3 else args[0]
        if not (is_rnn(layer) or is_convolution(layer)):
            return supported_layers.call_pointwise(layer, *args, **kwargs)
        names = [state.name for state in states[layer.name]]
        if not next_states.keys().isdisjoint(names):
            raise ValueError(
                f"Layer {layer.name!r} is called more than once; the step form keeps one state "
                "per layer. Use one layer per call."
            )
        advance = _advance_rnn if is_rnn(layer) else _advance_convolution
        outputs, new_states = advance(
            layer, [state_inputs[name] for name in names], *args, **kwargs
        )
        next_states.update(zip(names, new_states, strict=True))
        return outputs

    inputs = {tensor.name: _step_input(tensor, rows) for tensor in functional.inputs}
    # The clone has the states as inputs only if the original has, connected to an output.
    original_inputs = {tensor.name: tensor for tensor in functional.inputs}
    passed = [keras.layers.Identity()(tensor) for tensor in state_inputs.values()]
    traced: Any = keras.models.clone_model(
        keras.Model(original_inputs | state_inputs, [functional.output, passed]),
        input_tensors=inputs | state_inputs,
        clone_function=supported_layers.require_form,
        call_function=call_step,
    )
    outputs = keras.tree.flatten(traced.output[0])
    outputs = dict(zip(supported_layers.output_names(functional), outputs, strict=True))
    scalings = [
        *(_scaling(scaling_of_input, first.get(i), t) for i, t in enumerate(inputs.values())),
        *(_scaling(scaling_of_output, last.get(i), t) for i, t in enumerate(outputs.values())),
    ]
    return Step(
        model=keras.Model(
            inputs | state_inputs,
            outputs | {NEXT + name: tensor for name, tensor in next_states.items()},
            name=f"{model.name}_step",
        ),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        states=tuple(state for layer_states in states.values() for state in layer_states),
        scalings=dict(zip((*inputs, *outputs), scalings, strict=True)),
        rows=rows,
    )


def _rows_per_step(functional):
    """Number of input rows per output row: the product of the strides on the way."""
    calls, outputs = supported_layers.calls_of(functional)
    strides = {id(tensor): 1 for tensor in functional.inputs}
    for call in calls:
        of_inputs = {strides[id(tensor)] for tensor in call.inputs}
        if len(of_inputs) > 1:
            raise ValueError(
                f"Layer {call.layer.name!r} joins tensors that have passed different strides: "
                f"{sorted(of_inputs)}, so their rows do not align within a step."
            )
        stride = of_inputs.pop() * (call.layer.strides[0] if is_convolution(call.layer) else 1)
        strides.update((id(tensor), stride) for tensor in call.outputs)
    of_outputs = {strides[id(tensor)] for tensor in outputs}
    if len(of_outputs) > 1:
        raise ValueError(
            f"The outputs have passed different strides: {sorted(of_outputs)}, but a step returns "
            "one row of each output. Export one model per stride."
        )
    return of_outputs.pop()


def _states(layer):
    if is_rnn(layer):
        initial = keras.tree.flatten(layer.get_initial_state(batch_size=1))
        values = [np.asarray(ops.convert_to_numpy(value)) for value in initial]
    elif is_convolution(layer) and past_rows(layer):
        values = [np.zeros((1, past_rows(layer) * layer.kernel.shape[1] * layer.groups), "float32")]
    else:
        return []
    return [State(f"{layer.name}_state_{i}", value) for i, value in enumerate(values)]


def _step_input(tensor, rows):
    # A step of elapsed times (batch, time) keeps a feature axis of 1.
    features = tensor.shape[2:] or (1,)
    shape = features if rows == 1 else (rows, *features)
    return keras.Input(shape, dtype=tensor.dtype, name=tensor.name)


def _scaling(scaling_of, layer, tensor):
    features = tensor.shape[-1]
    if layer is None:
        return Scaling(np.ones(features), np.zeros(features))
    return scaling_of(layer, features)


def _advance_rnn(layer, states, *args, **kwargs):
    inputs, elapsed = supported_layers.rnn_arguments(layer, args, kwargs)
    output, states = RecurrentStep(layer)(inputs, states, elapsed)
    return ((output, *states) if layer.return_state else output), states


def _advance_convolution(layer, states, inputs):
    if not states:
        past = []
    elif len(inputs.shape) == 2:
        past = states
    else:
        past = [ops.reshape(states[0], (-1, past_rows(layer), inputs.shape[-1]))]
    rows: Any = ops.concatenate([*past, inputs], axis=1)
    outputs = CausalConvolution(layer)(rows)
    if len(inputs.shape) == 3 and outputs.shape[1] == 1:
        outputs = outputs[:, 0]
    # Drop as many of the oldest rows as came in.
    dropped = inputs.shape[1]
    new_states = [ops.reshape(rows[:, dropped:], (-1, state.shape[-1])) for state in states]
    return outputs, new_states
