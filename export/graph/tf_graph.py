"""Models as TensorFlow graphs without variables: trace, inline, rewrite, evaluate, save."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from export import compat
from export.forms.form import Form
from export.forms.model_graph import SCOPE

if TYPE_CHECKING:
    import tensorflow as tf

ConcreteFunction: TypeAlias = Any  # tf.types.experimental.ConcreteFunction


def trace(model: Form, batch: int | None) -> ConcreteFunction:
    """Trace a model from dict to dict, with its variables as constants.

    Args:
        model: The model.
        batch: Size of the batch axis; None for any.
    """
    import tensorflow as tf

    specification = {
        name: tf.TensorSpec((batch, *spec.shape[1:]), spec.dtype, name=name)
        for name, spec in model.input_specs.items()
    }
    # The converter would keep variables as resources that an initializer must fill.
    trainable = [tf.constant(variable.numpy()) for variable in model.trainable_variables]
    frozen = [tf.constant(variable.numpy()) for variable in model.non_trainable_variables]

    def run(**tensors):
        outputs: Any = model.stateless_call(trainable, frozen, tensors, training=False)[0]
        # An output that is an input needs its own tensor.
        return {name: tf.identity(tensor) for name, tensor in outputs.items()}

    return tf.function(run, autograph=False).get_concrete_function(**specification)


@dataclass(frozen=True)
class FlatGraph:
    """A traced function whose function calls are inlined.

    Attributes:
        operations: In topological order.
        inputs: The placeholders.
        outputs: The output tensors, by name.
    """

    operations: list[tf.Operation]
    inputs: list[tf.Tensor]
    outputs: dict[str, tf.Tensor]


def flatten(function: ConcreteFunction) -> FlatGraph:
    """Inline the function calls of a ConcreteFunction of `trace`; loops stay."""
    flat = compat.inline_calls(function)
    outputs = dict(zip(sorted(function.structured_outputs), flat.outputs, strict=True))
    return FlatGraph(flat.graph.get_operations(), flat.inputs, outputs)


def rebuild(
    flat: FlatGraph,
    replacements: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
    derived: Mapping[str, tuple[tf.Tensor, Callable[[Any], Any]]] = MappingProxyType({}),
) -> ConcreteFunction:
    """Copy the operations that the outputs of a flat graph without loops need, with changes.

    Args:
        flat: The graph.
        replacements: By name of an operation, a function from its inputs to its output.
        derived: By name of a tensor, another tensor and a function from that to the first.
    """
    import tensorflow as tf

    needed = _needed_operations(flat, derived)

    def run(**tensors):
        values = {tensor.name: tensors[tensor.op.name] for tensor in flat.inputs}

        def value_of(tensor):
            if tensor.name in derived and tensor.name not in values:
                root, function = derived[tensor.name]
                values[tensor.name] = function(value_of(root))
            return values[tensor.name]

        for operation in flat.operations:
            if operation.name not in needed:
                continue
            inputs = [value_of(tensor) for tensor in operation.inputs]
            if operation.name in replacements:
                results = [replacements[operation.name](*inputs)]
            else:
                results = _copy(operation, inputs)
            values.update(
                (tensor.name, result)
                for tensor, result in zip(operation.outputs, results, strict=True)
                if tensor.name not in derived
            )
        return {name: value_of(tensor) for name, tensor in flat.outputs.items()}

    specification = {
        tensor.op.name: tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.op.name)
        for tensor in flat.inputs
    }
    return tf.function(run, autograph=False).get_concrete_function(**specification)


def _needed_operations(flat, derived):
    """Names of the operations that the outputs depend on."""
    inputs = {tensor.name for tensor in flat.inputs}
    needed, pending = set(), list(flat.outputs.values())
    while pending:
        tensor = pending.pop()
        if tensor.name in derived:
            pending.append(derived[tensor.name][0])
        elif tensor.name not in inputs and tensor.op.name not in needed:
            needed.add(tensor.op.name)
            pending.extend(tensor.op.inputs)
    return needed


def fetch(
    flat: FlatGraph, tensors: Sequence[tf.Tensor], samples: Sequence[dict[str, np.ndarray]]
) -> list[list[np.ndarray]]:
    """Evaluate tensors of a flat graph on each sample of its inputs; one list per tensor."""
    import tensorflow as tf

    if not tensors:
        return []
    outputs = {str(position): tensor for position, tensor in enumerate(tensors)}
    run = rebuild(replace(flat, outputs=outputs))
    values = [[] for _ in tensors]
    for sample in samples:
        results = run(**{name: tf.constant(value) for name, value in sample.items()})
        for of_tensor, name in zip(values, outputs, strict=True):
            of_tensor.append(results[name].numpy())
    return values


def _copy(operation, inputs):
    import tensorflow as tf

    copied = tf.compat.v1.get_default_graph().create_op(
        operation.type,
        inputs,
        [tensor.dtype for tensor in operation.outputs],
        name=operation.name,
        attrs=dict(operation.node_def.attr.items()),
        op_def=operation.op_def,
    )
    return copied.outputs


def variable_operations(flat: FlatGraph) -> list[tf.Operation]:
    """Return the operations that depend on an input, in order."""
    operations, varying = [], set()
    for operation in flat.operations:
        varies = any(tensor.name in varying for tensor in operation.inputs)
        if varies:
            operations.append(operation)
        if varies or operation.type == "Placeholder":
            varying.update(tensor.name for tensor in operation.outputs)
    return operations


def varying_tensors(flat: FlatGraph) -> set[str]:
    """Return the names of the inputs and of all tensors that depend on them."""
    computed = {tensor.name for op in variable_operations(flat) for tensor in op.outputs}
    return computed | {tensor.name for tensor in flat.inputs}


def layer_of(operation_name: str, model: Form) -> str:
    """Return the name of the layer that an operation comes from, or else of the operation."""
    name, found, _ = operation_name.partition(SCOPE)
    return model.layer_names.get(name, operation_name) if found else operation_name


def save(functions: Mapping[str, ConcreteFunction], folder: str | Path) -> None:
    """Save ConcreteFunctions as the signatures of a SavedModel, by name."""
    import tensorflow as tf

    module = tf.Module()
    for name, function in functions.items():
        setattr(module, name, function)
    # Files are not differentiated, and a rewritten graph lacks the inputs of custom gradients.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures=dict(functions), options=options)
