"""The step form: any Keras model around RNN layers, as one time step with its state outside."""

import inspect
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from export.scaling import Scaling, foldable_layers, scaling_of_input, scaling_of_output

NEXT = "next_"  # output `next_h` is the state that the next step takes as input `h`

# Layers that act on each time step alone, and so need no state.
POINTWISE_LAYERS = {
    getattr(keras.layers, name)
    for name in (
        "Activation ActivityRegularization Add AlphaDropout Average BatchNormalization "
        "Concatenate Dense Dropout ELU GaussianDropout GaussianNoise Identity "
        "LayerNormalization LeakyReLU Maximum Minimum Multiply Normalization ReLU Rescaling "
        "Softmax SpatialDropout1D Subtract TimeDistributed UnitNormalization"
    ).split()
}
# Their weights have the rank of their input, so they must see a time axis.
RANKED_LAYERS = {keras.layers.BatchNormalization, keras.layers.Normalization}
POINTWISE_OPERATORS = {"Add", "Subtract", "Multiply", "Maximum", "Minimum"}


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
    """

    model: keras.Model
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[State, ...]
    scalings: dict[str, Scaling]


def to_step(model: keras.Model, fold_scaling: bool = False) -> Step:
    """Turn a model over sequences into a model of one time step.

    Every RNN layer becomes its cell, whose state is an input and an output;
    every other layer must act on each time step alone and is used as it is.
    The weights are shared, not copied.

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
    # Before the graph is cloned, whose operations would be named instead of their layers.
    for layer in functional.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            _require_step_form(layer)
    _require_float32(functional)
    states = {layer.name: _states(layer) for layer in functional.layers if _is_rnn(layer)}
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
        if not _is_rnn(layer):
            return _call_pointwise(layer, *args, **kwargs)
        names = [state.name for state in states[layer.name]]
        if names[0] in next_states:
            raise ValueError(
                f"Layer {layer.name!r} is called more than once; the step form keeps one state "
                "per layer. Use one layer per call."
            )
        outputs, new_states = _call_cell(
            layer, [state_inputs[name] for name in names], *args, **kwargs
        )
        next_states.update(zip(names, new_states, strict=True))
        return outputs

    inputs = {tensor.name: _step_input(tensor) for tensor in functional.inputs}
    # The clone has the states as inputs only if the original has, connected to an output.
    original_inputs = {tensor.name: tensor for tensor in functional.inputs}
    passed = [keras.layers.Identity()(tensor) for tensor in state_inputs.values()]
    traced = keras.models.clone_model(
        keras.Model(original_inputs | state_inputs, [functional.output, passed]),
        input_tensors=inputs | state_inputs,
        clone_function=_require_step_form,
        call_function=call_step,
    )
    outputs = keras.tree.flatten(traced.output[0])
    outputs = dict(zip(_output_names(functional), outputs, strict=True))
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
    )


def _scaling(scaling_of, layer, tensor):
    features = tensor.shape[-1]
    if layer is None:
        return Scaling(np.ones(features), np.zeros(features))
    return scaling_of(layer, features)


def _is_rnn(layer):
    return isinstance(layer, keras.layers.RNN)


def _states(layer):
    initial = keras.tree.flatten(layer.get_initial_state(batch_size=1))
    return [
        State(f"{layer.name}_state_{i}", ops.convert_to_numpy(value))
        for i, value in enumerate(initial)
    ]


def as_functional(model: keras.Model) -> keras.Model:
    """Return a built Sequential or Functional model as a Functional one.

    Raises:
        ValueError: The model is not built, or is subclassed.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model; received {type(model).__name__}.")
    if isinstance(model, keras.Sequential):
        if not model.built or not model.inputs:
            raise ValueError(
                f"Model {model.name!r} is not built; call it on data, or add keras.Input, first."
            )
        return keras.Model(model.inputs, model.outputs, name=model.name)
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"Model {model.name!r} ({type(model).__name__}) is subclassed, so its layers' order is "
            "unknown; only Sequential and Functional models can be exported."
        )
    return model


def _require_float32(model):
    for layer in model.layers:
        if getattr(layer, "compute_dtype", "float32") != "float32":
            raise ValueError(
                f"Layer {layer.name!r} computes in {layer.compute_dtype}; export takes float32. "
                "Rebuild the model with dtype float32 and load the same weights."
            )


def _step_input(tensor):
    if len(tensor.shape) not in (2, 3):
        raise ValueError(
            f"Input {tensor.name!r} has shape {tuple(tensor.shape)}; only (batch, time, features), "
            "and (batch, time) for elapsed times, have a step form."
        )
    # A step of elapsed times (batch, time) keeps a feature axis of 1.
    features = tensor.shape[2:] or (1,)
    if None in features:
        raise ValueError(f"Input {tensor.name!r} has an unknown number of features.")
    return keras.Input(features, dtype=tensor.dtype, name=tensor.name)


def _require_step_form(layer):
    """Return the layer itself, if it is an RNN layer or acts on each time step alone."""
    if _is_rnn(layer):
        if layer.go_backwards:
            raise ValueError(
                f"Layer {layer.name!r} runs backwards in time (go_backwards=True); "
                "a device sees time forwards only."
            )
        return layer
    kind = type(layer)
    if kind in POINTWISE_LAYERS:
        _require_last_axis(layer)
        if kind is keras.layers.TimeDistributed:
            _require_step_form(layer.layer)
        return layer
    if not isinstance(layer, keras.layers.Layer) and kind.__name__ in POINTWISE_OPERATORS:
        return layer
    if isinstance(layer, keras.layers.Bidirectional):
        why = "reads the sequence backwards as well; a device sees time forwards only"
    else:
        why = "has no form for a single time step here"
    allowed = ", ".join(sorted(cls.__name__ for cls in POINTWISE_LAYERS))
    raise ValueError(
        f"Layer {layer.name!r} ({kind.__name__}) {why}. "
        f"Allowed: RNN, LiquidRNN, LSTM, GRU, SimpleRNN, {allowed}."
    )


def _require_last_axis(layer):
    axes = np.atleast_1d(getattr(layer, "axis", -1)).tolist()
    if axes not in ([-1], [2]):
        raise ValueError(
            f"Layer {layer.name!r} ({type(layer).__name__}) works along axis {axes}; "
            "only the features' axis (-1) is within a single time step."
        )


def _call_cell(layer, states, *args, **kwargs):
    arguments = inspect.signature(layer.call).bind(*args, **kwargs).arguments
    for name in ("initial_state", "mask"):
        if arguments.get(name) is not None:
            raise ValueError(
                f"Layer {layer.name!r} is called with `{name}`, which the step form does not carry."
            )
    elapsed = arguments.get("elapsed")
    cell_kwargs = {} if elapsed is None else {"elapsed": elapsed}
    nested = keras.tree.pack_sequence_as(layer.get_initial_state(batch_size=1), states)
    output, new_states = layer.cell(arguments["sequences"], nested, **cell_kwargs)
    new_states = keras.tree.flatten(new_states)
    return ((output, *new_states) if layer.return_state else output), new_states


def _call_pointwise(layer, *args, **kwargs):
    kwargs = {name: value for name, value in kwargs.items() if name not in ("mask", "training")}
    if type(layer) is keras.layers.TimeDistributed:
        return _call_pointwise(layer.layer, *args)
    if type(layer) in RANKED_LAYERS:
        (inputs,) = args
        return ops.squeeze(layer(ops.expand_dims(inputs, 1)), 1)
    if type(layer) is keras.layers.Concatenate:
        return ops.concatenate(*args, axis=-1)
    return layer(*args, **kwargs)


def _output_names(functional):
    """Names of the outputs: the dict's keys, else "output" or "output_0", "output_1", ..."""
    structure = functional.output
    if isinstance(structure, dict):
        return sorted(structure)
    count = len(keras.tree.flatten(structure))
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]
