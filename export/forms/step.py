"""The step form: any Keras model around RNN layers, as one time step with its state outside."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from export.forms.causal_conv import CausalConvolution, past_rows
from export.forms.folded_normalization import (
    Scaling,
    foldable_layers,
    scaling_of_input,
    scaling_of_output,
)
from export.forms.rnn_forms import RecurrentStep
from export.forms.rnn_layers import is_rnn
from export.forms.supported_layers import (
    as_functional,
    call_pointwise,
    calls_of,
    is_convolution,
    is_last_step,
    output_names,
    require_form,
    require_last_step,
    rnn_arguments,
)

NEXT = "next_"  # output `next_h` is the state that the next step takes as input `h`


@dataclass(frozen=True)
class State:
    """One state tensor: its input's name (the output's is `next_` + name), and where it starts."""

    name: str
    initial: np.ndarray


@dataclass(frozen=True)
class Step:
    """A model as one time step.

    Attributes:
        model: Keras model from a dict of tensors (batch, ...) to a dict of tensors:
            inputs and states in, outputs and next states out, by name.
        inputs: Names of the data inputs, in the order of the original model.
        outputs: Names of the outputs, in the order of the original model.
        states: The state tensors.
        scalings: For each input and output, what turns the model's values into real ones.
        rows: Rows of the data that a step takes: 1, or the strides of the convolutions
            multiplied. Inputs are (batch, features), or (batch, rows, features).
    """

    model: keras.Model
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[State, ...]
    scalings: dict[str, Scaling]
    rows: int = 1


def to_step(model: keras.Model, fold_scaling: bool = False) -> Step:
    """Turn a model over sequences into a model of one time step.

    Every RNN layer becomes its cell, whose state is an input and an output; a causal
    Conv1D keeps its past as such a state; every other layer must act on each time step
    alone and is used as it is. The weights are shared, not copied.

    Args:
        model: A built Sequential or Functional model. Its inputs are
            (batch, time, features), or (batch, time) for elapsed times.
        fold_scaling: Leave out a Normalization or Rescaling layer at either end; the
            step's `scalings` then do what it did.

    Raises:
        ValueError: The model is not built, is subclassed, computes in another type
            than float32, or holds a layer that has no step form; the message names it.
    """
    functional = as_functional(model)
    rows = _rows(functional)
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
        if any(layer is one for one in folded):
            return args[0]
        if is_last_step(layer):
            require_last_step(layer, args[1])
            return args[0][:, -1] if len(args[0].shape) == 3 else args[0]
        if not (is_rnn(layer) or is_convolution(layer)):
            return call_pointwise(layer, *args, **kwargs)
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
    traced = keras.models.clone_model(
        keras.Model(original_inputs | state_inputs, [functional.output, passed]),
        input_tensors=inputs | state_inputs,
        clone_function=require_form,
        call_function=call_step,
    )
    outputs = keras.tree.flatten(traced.output[0])
    outputs = dict(zip(output_names(functional), outputs, strict=True))
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


def _rows(functional):
    """How many rows of the inputs make one row of the outputs."""
    calls, outputs = calls_of(functional)
    strides = {id(tensor): 1 for tensor in functional.inputs}
    for call in calls:
        found = {strides[id(tensor)] for tensor in call.inputs}
        if len(found) > 1:
            raise ValueError(
                f"Layer {call.layer.name!r} joins tensors that have passed different strides: "
                f"{sorted(found)}; a step has no common row for them."
            )
        stride = found.pop() * (call.layer.strides[0] if is_convolution(call.layer) else 1)
        strides.update((id(tensor), stride) for tensor in call.outputs)
    found = {strides[id(tensor)] for tensor in outputs}
    if len(found) > 1:
        raise ValueError(
            f"The outputs have passed different strides: {sorted(found)}; one step gives one row "
            "of each output. Export them as models of their own."
        )
    return found.pop()


def _states(layer):
    if is_rnn(layer):
        initial = keras.tree.flatten(layer.get_initial_state(batch_size=1))
        values = [ops.convert_to_numpy(value) for value in initial]
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
    inputs, elapsed = rnn_arguments(layer, args, kwargs)
    output, states = RecurrentStep(layer)(inputs, states, elapsed)
    return ((output, *states) if layer.return_state else output), states


def _advance_convolution(layer, states, inputs):
    if not states:
        past = []
    elif len(inputs.shape) == 2:
        past = states
    else:
        past = [ops.reshape(states[0], (-1, past_rows(layer), inputs.shape[-1]))]
    rows = ops.concatenate([*past, inputs], axis=1)
    outputs = CausalConvolution(layer)(rows)
    if len(inputs.shape) == 3 and outputs.shape[1] == 1:
        outputs = outputs[:, 0]
    # The past moves on by as many rows as came.
    moved = inputs.shape[1]
    kept = [ops.reshape(rows[:, moved:], (-1, state.shape[-1])) for state in states]
    return outputs, kept
