"""Private parts and undocumented conventions of Keras that lnn_keras relies on.

Each was checked with Keras 3.12.4 to 3.15.1. `tests/lnn_keras/test_keras_compat.py` has a test of
each that names the feature which breaks with it.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras.src.backend import AutocastScope, get_autocast_scope
from keras.src.backend.common.global_state import set_global_attribute

# Not exported by Keras. `keras.layers.RNN` draws the masks of such a cell once per call, before
# `inner_loop`, and drops them afterwards.
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

from lnn_keras.tensors import Tensor

__all__ = [
    "DropoutRNNCell",
    "call_before",
    "children_of",
    "dropout_seed_states",
    "has_accelerator",
    "loops_replaced",
    "parts_of",
    "run_graph",
    "time_loop",
    "weights_as",
    "weights_dtype",
]


class _StepCell:
    """A step function as a cell of `keras.layers.RNN`."""

    def __init__(self, step: Callable, states: Sequence[Tensor]):
        self.step = step
        self.state_size = [state.shape[-1] for state in states]

    def call(self, inputs, states):
        return self.step(inputs, list(states))

    __call__ = call


def time_loop(
    step: Callable, inputs: Tensor, states: Sequence[Tensor], unroll: bool = False
) -> tuple[Tensor, list[Tensor]]:
    """Apply a step to one time step after the other: the loop of `keras.layers.RNN`.

    Relies on `RNN.inner_loop(sequences, initial_state, mask)`, which returns the last output, all
    outputs and the last states.

    Args:
        step: Function (inputs (batch, size), states) -> (output, new states).
        inputs: Tensor (batch, time, size).
        states: Tensors (batch, size), the states before the first step.
        unroll: Whether to unroll the loop.

    Returns:
        The outputs (batch, time, size), and the states after the last step.
    """
    layer: Any = keras.layers.RNN(
        _StepCell(step, states), return_sequences=True, unroll=unroll, name="scan"
    )
    _, outputs, states = layer.inner_loop(inputs, list(states), None)
    return outputs, list(states)


def has_accelerator() -> bool:
    """Whether Keras computes on another device than a processor, by default.

    Relies on `keras.src.backend.torch.core.get_device` on torch, where
    `keras.distribution.list_devices` does not exist.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        from keras.src.backend.torch.core import get_device

        return not str(get_device()).startswith("cpu")
    if backend in ("tensorflow", "jax"):
        return not keras.distribution.list_devices()[0].startswith("cpu")
    return False


def parts_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layer itself and, recursively, the layers that it holds, in the order of creation.

    Relies on `Layer._flatten_layers`.
    """
    return layer._flatten_layers()


def children_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that a layer holds directly, in the order of creation.

    Relies on `Layer._flatten_layers`.
    """
    return layer._flatten_layers(include_self=False, recursive=False)


@contextlib.contextmanager
def loops_replaced(layers: Sequence[keras.layers.Layer], replacement: Callable) -> Iterator[None]:
    """A context in which the loops of RNN layers over time are calls of another function.

    Relies on `RNN.inner_loop(sequences, initial_state, mask, training)`, which every RNN layer
    calls, also within other layers.

    Args:
        layers: RNN layers.
        replacement: Function (layer, loop, sequences, initial_state, mask, **kwargs) -> the
            results of the loop: the last output, all outputs and the last states. `loop` is the
            layer's own.
    """
    for layer in layers:
        # Not `setattr`, which tracks attributes as parts of the layer.
        layer.__dict__["inner_loop"] = functools.partial(replacement, layer, layer.inner_loop)
    try:
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("inner_loop", None)


def call_before(tensor: Tensor) -> tuple[keras.layers.Layer, list[Tensor]]:
    """The layer or operation that returned a symbolic tensor, and the tensors that it took.

    Relies on `KerasTensor._keras_history` and `Operation._inbound_nodes`. For a nested model, its
    attribute `input` would be its own inputs.
    """
    operation, node, _ = tensor._keras_history
    return operation, operation._inbound_nodes[node].input_tensors


def run_graph(model: Any, inputs: Any, call: Callable) -> Any:
    """The outputs of a Functional model's graph, with each layer and operation called by `call`.

    Relies on `Function._run_through_graph`. `keras.models.clone_model` refuses calls that depend on
    inputs of their own.

    Args:
        model: A Functional model.
        inputs: Tensors in the structure of its inputs.
        call: Function (layer, *args, **kwargs) -> the layer's outputs.
    """
    return model._run_through_graph(inputs, operation_fn=lambda layer: layer, call_fn=call)


def dropout_seed_states(cell: keras.layers.Layer) -> list[keras.Variable]:
    """The seed states of a cell and its inner cells, which only `keras.layers.RNN` advances.

    Relies on `DropoutRNNCell.seed_generator`.
    """
    cells = (part for part in parts_of(cell) if isinstance(part, DropoutRNNCell))
    generators = (getattr(inner, "seed_generator", None) for inner in cells)
    return [generator.state for generator in generators if generator is not None]


@contextlib.contextmanager
def weights_as(dtype: str | None) -> Iterator[None]:
    """A context in which Keras reads floating-point weights in a dtype; in their own with None.

    Relies on `AutocastScope`, which `Layer.__call__` enters with its compute dtype, and on the
    global attribute that holds it. Within `AutocastScope(None)` weights would be float32.
    """
    if dtype is not None:
        with AutocastScope(dtype):
            yield
        return
    entered = get_autocast_scope()
    set_global_attribute("autocast_scope", None)
    try:
        yield
    finally:
        set_global_attribute("autocast_scope", entered)


def weights_dtype() -> str | None:
    """The dtype of the context `weights_as`, or of the layer that is being called, if any.

    Relies on `get_autocast_scope`.
    """
    scope = get_autocast_scope()
    return None if scope is None else scope.dtype
