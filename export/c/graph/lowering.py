"""From the TensorFlow graph of a step to nodes.

A tensor is an array of codes, one for each element: the number of its node, and its index in that
node. Views run on the codes themselves, by TensorFlow, so each keeps its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from export.c.graph.builder import Builder
from export.c.graph.nodes import Graph
from export.c.graph.operations import OPERATIONS
from export.forms.form import Form
from export.graph.tf_graph import FlatGraph, layer_of, varying_tensors

if TYPE_CHECKING:
    import tensorflow as tf

# By type of a view, the attribute with the dtype of its values.
VIEWS = {
    "BroadcastTo": "T",
    "ConcatV2": "T",
    "ExpandDims": "T",
    "GatherV2": "Tparams",
    "Identity": "T",
    "Pack": "T",
    "Pad": "T",
    "Reshape": "T",
    "ReverseV2": "T",
    "Slice": "T",
    "Split": "T",
    "SplitV": "T",
    "Squeeze": "T",
    "StopGradient": "T",
    "StridedSlice": "T",
    "Tile": "T",
    "Transpose": "T",
    "Unpack": "T",
}
_LOOPS = ("While", "StatelessWhile", "If", "StatelessIf")


def lower(flat: FlatGraph, model: Form) -> Graph:
    """Return a step's graph as nodes.

    Args:
        flat: The step's graph, with batch 1.
        model: The step's model; errors name its layers.

    Raises:
        ValueError: An operation has no form in C; the message names its layer.
    """
    return Lowering(flat, model).graph()


def require_no_loops(flat: FlatGraph, model: Form) -> None:
    """Raise a ValueError that names the layers whose loops depend on the data."""
    layers = {layer_of(o.name, model) for o in flat.operations if o.type in _LOOPS}
    if layers:
        raise ValueError(
            f"Layer {', '.join(map(repr, sorted(layers)))} has a loop whose number of iterations "
            "depends on the data, such as a solver with adaptive steps, and C code has only loops "
            "of a fixed length. Use a solver with fixed steps: 'semi_implicit' or 'rk4'."
        )


class Lowering:
    """The operations of a graph as nodes.

    Args:
        flat: The step's graph, with batch 1.
        model: The step's model; errors name its layers.

    Attributes:
        builder: Creates the nodes.
        constants: Values of the tensors that do not vary, by name.
    """

    def __init__(self, flat: FlatGraph, model: Form):
        self._flat, self._model = flat, model
        self.builder = Builder()
        self._codes: dict[str, np.ndarray] = {}
        self.constants: dict[str, np.ndarray] = {}

    def graph(self) -> Graph:
        """All operations as nodes."""
        builder = self.builder
        for tensor in self._flat.inputs:
            self._codes[tensor.name] = builder.input(tensor.op.name, _static_shape(tensor))
        varying = varying_tensors(self._flat)
        operations = [
            op for op in self._flat.operations if any(t.name in varying for t in op.outputs)
        ]
        self._evaluate_constants(operations, varying)
        for operation in operations:
            if operation.type != "Placeholder":
                self._lower(operation)
        outputs = {
            name: builder.reference(self.tensor(tensor).reshape(-1))
            for name, tensor in self._flat.outputs.items()
        }
        return builder.graph(outputs)

    def _evaluate_constants(self, operations, varying):
        import tensorflow as tf

        tensors = [t for op in operations for t in op.inputs] + [*self._flat.outputs.values()]
        constant = {t.name: t for t in tensors if t.name not in varying}
        if not constant:
            return
        graph = next(iter(constant.values())).graph
        with tf.compat.v1.Session(graph=graph) as session:
            self.constants = session.run({name: name for name in constant})

    def tensor(self, tensor: tf.Tensor) -> np.ndarray:
        """Return the codes of a tensor."""
        if tensor.name not in self._codes:
            values = np.asarray(self.constants[tensor.name], "float64")
            self._codes[tensor.name] = self.builder.constant(values, tensor.op.name)
        return self._codes[tensor.name]

    def constant(self, tensor: tf.Tensor, operation: tf.Operation) -> np.ndarray:
        """Return the values of a tensor that an operation takes as a constant.

        Raises:
            ValueError: The tensor depends on the inputs; the message names the layer.
        """
        if tensor.name not in self.constants:
            layer = layer_of(operation.name, self._model)
            raise ValueError(
                f"Layer {layer!r} uses the operation {operation.type} with indices or weights that "
                "depend on the inputs, which has no form in C. Use another layer, or export to "
                "target 'micro'."
            )
        return self.constants[tensor.name]

    def _lower(self, operation: tf.Operation):
        builder, kind = self.builder, operation.type
        layer = layer_of(operation.name, self._model)
        builder.scope(operation.name, "" if layer == operation.name else layer)
        if kind == "IdentityN":
            results = [self.tensor(tensor) for tensor in operation.inputs]
        elif kind in VIEWS:
            results = self._view(operation)
        elif kind in OPERATIONS:
            results = [OPERATIONS[kind](self, operation)]
        else:
            self._refuse(operation, layer)
        for tensor, codes in zip(operation.outputs, results, strict=True):
            shape = _static_shape(tensor)
            self._codes[tensor.name] = np.broadcast_to(codes, shape).reshape(shape)

    @staticmethod
    def _refuse(operation, layer):
        raise ValueError(
            f"Layer {layer!r} uses the operation {operation.type}, which has no form in C. Use "
            "another layer or activation, or export to target 'micro'."
        )

    def _view(self, operation) -> list[np.ndarray]:
        """Run a view on the codes of its arguments."""
        import tensorflow as tf

        attribute = VIEWS[operation.type]
        graph = tf.Graph()
        with graph.as_default():
            inputs = [
                # Only values have codes; the others are indices, sizes and axes.
                tf.constant(self.tensor(tensor))
                if _is_value(operation, position)
                else tf.constant(self.constant(tensor, operation))
                for position, tensor in enumerate(operation.inputs)
            ]
            attributes = dict(operation.node_def.attr.items())
            attributes[attribute] = tf.compat.v1.AttrValue(type=tf.int64.as_datatype_enum)
            copied = graph.create_op(
                operation.type,
                inputs,
                [tf.int64 for _ in operation.outputs],
                attrs=attributes,
                op_def=operation.op_def,
            )
            with tf.compat.v1.Session(graph=graph) as session:
                return session.run(list(copied.outputs))


def _static_shape(tensor) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor.shape)


def _is_value(operation, position):
    """Whether an input of a view holds values, not indices, sizes or axes."""
    count = len(operation.inputs)
    values: Mapping[str, range] = {
        "ConcatV2": range(count - 1),
        "Pack": range(count),
        "Split": range(1, 2),
    }
    return position in values.get(operation.type, range(1))
