"""A model's forms as graphs of operations and constants: traced, copied with changes, saved."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import keras
import numpy as np


def trace(model: keras.Model, batch: int | None):
    """A model from dict to dict as a tf ConcreteFunction without variables.

    Args:
        model: The model.
        batch: Size of the batch axis; None for any.
    """
    import tensorflow as tf

    specification = {
        tensor.name: tf.TensorSpec((batch, *tensor.shape[1:]), tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    }
    # As constants: the converter would leave variables for an initializer to fill.
    trainable = [tf.constant(variable.numpy()) for variable in model.trainable_variables]
    frozen = [tf.constant(variable.numpy()) for variable in model.non_trainable_variables]

    def run(**tensors):
        outputs, _ = model.stateless_call(trainable, frozen, tensors, training=False)
        # An input that is an output as well must be another tensor.
        return {name: tf.identity(tensor) for name, tensor in outputs.items()}

    return tf.function(run, autograph=False).get_concrete_function(**specification)


@dataclass(frozen=True)
class FlatGraph:
    """A traced function with the functions that it calls written out.

    Attributes:
        operations: In an order in which they can be run.
        inputs: The tensors that are fed.
        outputs: The tensors that are given, by name.
    """

    operations: list
    inputs: list
    outputs: dict


def flatten(concrete) -> FlatGraph:
    """Write out the functions that a ConcreteFunction of `trace` calls; loops stay."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    flat = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    outputs = dict(zip(sorted(concrete.structured_outputs), flat.outputs, strict=True))
    return FlatGraph(flat.graph.get_operations(), flat.inputs, outputs)


def rebuild(
    flat: FlatGraph,
    replacements: Mapping[str, Callable] = MappingProxyType({}),
    derived: Mapping[str, tuple] = MappingProxyType({}),
):
    """A ConcreteFunction of what a flat graph without loops needs, with some of it replaced.

    Args:
        flat: The graph.
        replacements: Name of an operation -> what makes its output of its inputs.
        derived: Name of a tensor -> another tensor, and what makes the one of the other.
    """
    import tensorflow as tf

    needed = _needed(flat, derived)

    def run(**tensors):
        made = {tensor.name: tensors[tensor.op.name] for tensor in flat.inputs}

        def read(tensor):
            if tensor.name in derived and tensor.name not in made:
                root, make = derived[tensor.name]
                made[tensor.name] = make(read(root))
            return made[tensor.name]

        for operation in flat.operations:
            if operation.name not in needed:
                continue
            inputs = [read(tensor) for tensor in operation.inputs]
            if operation.name in replacements:
                results = [replacements[operation.name](*inputs)]
            else:
                results = _copy(operation, inputs)
            made.update(
                (tensor.name, result)
                for tensor, result in zip(operation.outputs, results, strict=True)
                if tensor.name not in derived
            )
        return {name: read(tensor) for name, tensor in flat.outputs.items()}

    specification = {
        tensor.op.name: tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.op.name)
        for tensor in flat.inputs
    }
    return tf.function(run, autograph=False).get_concrete_function(**specification)


def _needed(flat, derived):
    """Names of the operations that the outputs are made of."""
    given = {tensor.name for tensor in flat.inputs}
    needed, waiting = set(), list(flat.outputs.values())
    while waiting:
        tensor = waiting.pop()
        if tensor.name in derived:
            waiting.append(derived[tensor.name][0])
        elif tensor.name not in given and tensor.op.name not in needed:
            needed.add(tensor.op.name)
            waiting.extend(tensor.op.inputs)
    return needed


def fetch(flat: FlatGraph, tensors: list, samples: Sequence[dict]) -> list[list[np.ndarray]]:
    """The values of tensors of a flat graph on each sample of its inputs: tensor by tensor."""
    import tensorflow as tf

    if not tensors:
        return []
    outputs = {str(position): tensor for position, tensor in enumerate(tensors)}
    run = rebuild(replace(flat, outputs=outputs))
    values = [[] for _ in tensors]
    for sample in samples:
        fetched = run(**{name: tf.constant(value) for name, value in sample.items()})
        for found, name in zip(values, outputs, strict=True):
            found.append(fetched[name].numpy())
    return values


def _copy(operation, inputs):
    import tensorflow as tf

    copied = tf.compat.v1.get_default_graph().create_op(
        operation.type,
        inputs,
        [tensor.dtype for tensor in operation.outputs],
        name=operation.name,
        attrs={name: value for name, value in operation.node_def.attr.items()},
        op_def=operation.op_def,
    )
    return copied.outputs


def variable_operations(flat: FlatGraph) -> list:
    """The operations whose results depend on an input, in order."""
    found, varying = [], set()
    for operation in flat.operations:
        varies = any(tensor.name in varying for tensor in operation.inputs)
        if varies:
            found.append(operation)
        if varies or operation.type == "Placeholder":
            varying.update(tensor.name for tensor in operation.outputs)
    return found


def layer_of(operation_name: str, model: keras.Model) -> str:
    """The layer of a model that an operation of its trace comes from, or the operation itself."""
    scope = operation_name.split("/")[0]
    names = {layer.name for layer in model.layers}
    # Keras opens each scope once to build, so the call's own has a number behind it.
    stem = re.sub(r"_\d+$", "", scope)
    return next((name for name in (stem, scope) if name in names), operation_name)


def save(functions: Mapping, folder: str | Path) -> None:
    """Save ConcreteFunctions as the signatures of a SavedModel, by name."""
    import tensorflow as tf

    module = tf.Module()
    for name, function in functions.items():
        setattr(module, name, function)
    tf.saved_model.save(module, str(folder), signatures=dict(functions))
