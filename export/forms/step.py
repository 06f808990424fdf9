"""The step form: a Keras model as one time step, with its states as inputs and outputs."""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from export.forms import names
from export.forms.adaptive_readout import is_adaptive, target_inputs
from export.forms.causal_conv import CausalConvolution, past_rows
from export.forms.folded_normalization import Scaling, folded_layers
from export.forms.form import Form
from export.forms.model_graph import Call, ModelGraph, Value, read_graph
from export.forms.names import NEXT
from export.forms.refusals import rnn_arguments
from export.forms.rnn_forms import RecurrentStep
from export.forms.rnn_layers import is_rnn
from export.forms.time_axis import EACH_STEP, Action, TimeAxis, is_convolution, read_time_axis


@dataclass(frozen=True)
class State:
    """A state tensor.

    Attributes:
        name: The name of its input; the output has the prefix `next_`.
        initial: Initial value (1, ...).
        is_weights: Whether it holds weights that the model learns while it runs.
        is_learned: Whether it holds what the model has learned, and is kept for other sequences.
    """

    name: str
    initial: np.ndarray
    is_weights: bool = False
    is_learned: bool = False


@dataclass(frozen=True)
class Step:
    """A model as one time step.

    Attributes:
        model: Keras model from a dict of tensors (batch, ...) to a dict of tensors: inputs and
            states to outputs and next states, by name.
        graph: The graph of the original model.
        inputs: Names of the data inputs, in the order of the original model.
        outputs: Names of the outputs, in the order of the original model.
        states: The state tensors.
        scalings: By name of each input and output, its conversion to real values.
        sequences: Names of the outputs that the original model returns for each step; it returns
            the others only for the last step.
        rows: Rows of data per step: 1, or the product of the convolutions' strides. Inputs are
            (batch, features), or (batch, rows, features).
        window: Number of steps of a sequence if the model has a fixed length, or None. After a
            window, the states start from their initial values.
        targets: Names of the inputs that hold targets, which may be missing.
    """

    model: Form
    graph: ModelGraph
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[State, ...]
    scalings: dict[str, Scaling]
    sequences: frozenset[str]
    rows: int = 1
    window: int | None = None
    targets: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name of the original model in files."""
        return self.graph.name

    @property
    def window_note(self) -> str:
        """A sentence on the length of sequences, or "" if it is any."""
        return window_note(self.window)

    @property
    def initial_states(self) -> dict[str, np.ndarray]:
        """Initial value of each state, by name."""
        return {state.name: state.initial for state in self.states}

    def feature_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of one row of an input."""
        return self.graph.inputs[name].row_shape

    def features(self, name: str) -> int:
        """Return the number of values in a row of an input."""
        return math.prod(self.feature_shape(name))


def window_note(window: int | None) -> str:
    """Return a sentence on the length of sequences, or "" if it is any (None)."""
    if window is None:
        return ""
    return (
        f"The model reads windows of {window} time steps: reset the states before each window, "
        f"and use the outputs of its {window} steps as the model does."
    )


def to_step(model: keras.Model, fold_scaling: bool = False) -> Step:
    """Turn a model over sequences into a model of one time step.

    Every RNN layer becomes its cell, with the state as an input and an output. A causal Conv1D
    keeps its past rows as such a state. Every other layer must act on each time step
    independently, or take the last step, and is reused. Weights are shared, not copied.

    Args:
        model: A built Sequential or Functional model with inputs (batch, time, ...), or
            (batch, time) for elapsed times.
        fold_scaling: Leave out a Normalization or Rescaling layer at the model's inputs and
            outputs, and put its effect into `scalings`.

    Raises:
        ValueError: The model is not built, is subclassed, computes in another type than float32,
            or has a layer without a step form; the message names it.
    """
    graph = read_graph(model)
    axis = read_time_axis(graph)
    scalings, folded = folded_layers(graph, axis) if fold_scaling else ({}, set())
    states_of_calls = _states_of_calls(graph)
    states = [state for of_call in states_of_calls.values() for state in of_call]
    evaluator = _StepEvaluator(graph, axis, states_of_calls, folded)
    specs = {
        name: keras.KerasTensor((None, *_step_shape(value, axis.rows)), name=name)
        for name, value in graph.inputs.items()
    } | {s.name: keras.KerasTensor((None, *s.initial.shape[1:]), name=s.name) for s in states}
    return Step(
        model=Form(graph, evaluator, specs, f"{graph.name}_step"),
        graph=graph,
        inputs=tuple(graph.inputs),
        outputs=tuple(graph.outputs),
        states=tuple(states),
        scalings={**_identity_scalings(graph), **scalings},
        sequences=frozenset(n for n, value in graph.outputs.items() if axis.is_sequence(value)),
        rows=axis.rows,
        window=None if axis.length is None else axis.length // axis.rows,
        targets=target_inputs(graph),
    )


@dataclass(frozen=True)
class _StepEvaluator:
    """Evaluates a graph for one step: inputs and states by name to outputs and next states."""

    graph: ModelGraph
    axis: TimeAxis
    states: dict[int, list[State]]
    folded: set[int]

    def __call__(self, tensors: Any) -> dict[str, Any]:
        next_states: dict[str, Any] = {}

        def call_step(call, *args, **kwargs):
            if id(call) in self.folded:
                return args[0]
            advance = _ADVANCE.get(self.axis.actions[id(call)])
            if advance is None:
                return self._call_without_state(call, args, kwargs)
            names = [state.name for state in self.states[id(call)]]
            outputs, new = advance(call, [tensors[name] for name in names], args, kwargs)
            next_states.update(zip(names, new, strict=True))
            return outputs

        outputs = self.graph.evaluate(tensors, call_step)
        return outputs | {NEXT + name: next_states[name] for name in self._state_names()}

    def _state_names(self):
        return [state.name for states in self.states.values() for state in states]

    def _call_without_state(self, call, args, kwargs):
        action = self.axis.actions[id(call)]
        if action is Action.LAST_ROW:
            return _last_row(call, args, kwargs)
        if type(call.layer) in EACH_STEP and action is Action.EACH_ROW:
            return _call_each_step(call.layer, args[0], len(call.inputs[0].shape))
        if action is Action.OF_LAST_ROW:
            return _call_with_time_axis(call, args, kwargs)
        if action is not Action.EACH_STEP:
            return call.layer(*args, **kwargs)
        return _without_time_axis(call, _call_with_time_axis(call, args, kwargs))


def _advance_rnn(call: Call, states, args, kwargs):
    arguments = rnn_arguments(call.layer, args, kwargs)
    form = RecurrentStep(call.layer)
    output, states = form(arguments["sequences"], states, elapsed=arguments.get("elapsed"))
    return ((output, *states) if call.layer.return_state else output), states


def _advance_convolution(call: Call, states, args, kwargs):
    (inputs,) = args
    layer = call.layer
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


_ADVANCE = {Action.RECURRENT: _advance_rnn, Action.CONVOLUTION: _advance_convolution}


def _lacks_time_axis(tensor, rank):
    """Whether a tensor of a step is one row, of a sequence with `rank` axes."""
    return len(tensor.shape) < rank


def _last_row(call, args, kwargs):
    """The last of a step's rows; a row without time axis is the last one."""
    (value,) = call.inputs
    (tensor,) = keras.tree.flatten((args, kwargs))[:1]
    if len(value.shape) > 2 and _lacks_time_axis(tensor, len(value.shape)):
        return tensor
    return call.layer(*args, **kwargs)


def _call_each_step(layer, tensor, rank):
    if _lacks_time_axis(tensor, rank):
        return layer.layer(tensor)
    # A traced TimeDistributed confuses the number of steps with the batch size.
    folded = ops.reshape(tensor, (-1, *tensor.shape[2:]))
    outputs: Any = layer.layer(folded)
    return ops.reshape(outputs, (-1, tensor.shape[1], *outputs.shape[1:]))


def _call_with_time_axis(call, args, kwargs):
    """Call a layer that needs the time axis, on rows that may lack it."""

    def restore(value, tensor):
        if not isinstance(value, Value) or not _lacks_time_axis(tensor, len(value.shape)):
            return tensor
        return ops.expand_dims(tensor, 1)

    restored: Any = keras.tree.map_structure(restore, (call.args, call.kwargs), (args, kwargs))
    return call.layer(*restored[0], **restored[1])


def _without_time_axis(call, outputs):
    """The results of a call for one row, without their time axis."""
    ranks_of_outputs = iter([len(value.shape) for value in call.outputs])

    def remove(tensor):
        # Rows of rank 2, which are elapsed times, keep their time axis.
        if next(ranks_of_outputs) > 2 and tensor.shape[1] == 1:
            return ops.squeeze(tensor, 1)
        return tensor

    return keras.tree.map_structure(remove, outputs)


def _states_of_calls(graph) -> dict[int, list[State]]:
    """The states of each call by `id`; a layer that is called twice has states for each call."""
    taken = {*graph.inputs, *graph.outputs}
    states = {}
    for call in graph.calls:
        values = _initial_values(call.layer)
        layer = graph.layer_names[id(call.layer)]
        pairs = zip(names.state_names(layer, len(values), taken), values, strict=True)
        learned = call.layer.cell.learned_states if is_adaptive(call.layer) else 0
        states[id(call)] = [
            State(name, value, is_weights=index == 0 < learned, is_learned=index < learned)
            for index, (name, value) in enumerate(pairs)
        ]
    return states


def _initial_values(layer):
    if is_rnn(layer):
        initial = keras.tree.flatten(layer.get_initial_state(batch_size=1))
        return [np.asarray(ops.convert_to_numpy(value)) for value in initial]
    if is_convolution(layer) and past_rows(layer):
        return [np.zeros((1, past_rows(layer) * layer.kernel.shape[1] * layer.groups), "float32")]
    return []


def _step_shape(value, rows):
    if len(value.shape) == 2:
        return (rows,)
    return value.shape[2:] if rows == 1 else (rows, *value.shape[2:])


def _identity_scalings(graph):
    sizes = {name: math.prod(value.row_shape) for name, value in graph.inputs.items()}
    sizes |= {name: value.shape[-1] for name, value in graph.outputs.items()}
    return {name: Scaling(np.ones(size), np.zeros(size)) for name, size in sizes.items()}
