"""What each weight does in a computation: it enters matrix products, is added, or neither."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from export import compat

# The operations of a matrix product or a convolution.
PRODUCTS = set(
    (
        "MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum Conv2D Conv3D "
        "DepthwiseConv2dNative Conv2DBackpropInput Conv3DBackpropInputV2"
    ).split()
)
SUMS = {"AddV2", "Add", "AddN", "BiasAdd", "Sub"}
# Operations that leave a zero weight zero, element by element.
ELEMENTWISE = SUMS | set(
    (
        "Identity Cast EnsureShape StopGradient PreventGradient Abs Neg Square Sqrt Sign Round "
        "Tanh Sin Sinh Asinh Atan Relu Relu6 Elu Selu LeakyRelu Softsign Mul MulNoNan Maximum "
        "Minimum ClipByValue Select SelectV2 FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars "
        "FakeQuantWithMinMaxVarsPerChannel"
    ).split()
)
# Of these, the second operand scales the first or is its exponent.
FIRST_OPERAND = {"RealDiv", "Div", "DivNoNan", "Pow"}
REARRANGEMENTS = set(
    (
        "Reshape Transpose Slice StridedSlice Split SplitV Unpack Pack ConcatV2 ExpandDims "
        "Squeeze GatherV2 Pad PadV2 Tile ReverseV2 BroadcastTo MatrixBandPart Roll"
    ).split()
)
LOOPS = {"While", "StatelessWhile"}


@dataclass
class Roles:
    """Indices of weights by what they do.

    Attributes:
        products: Weights that are an operand of a matrix product, after operations that keep
            zeros: a mask, a slice, a transpose, an absolute value.
        others: Weights that are multiplied with data element by element, looked up, or changed by
            an operation that does not keep zeros. Weights that are only added, as a bias is, are
            in neither set.
    """

    products: set[int] = field(default_factory=set)
    others: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class _Value:
    """A tensor: the weights that it consists of, and whether it depends on inputs."""

    weights: frozenset[int] = frozenset()
    is_data: bool = False


_CONSTANT, _DATA = _Value(), _Value(is_data=True)


def roles_of(call: Callable, variables: Sequence[keras.Variable], inputs: Any) -> Roles:
    """The roles of variables in a computation.

    Args:
        call: Function of tensors.
        variables: Variables that it reads.
        inputs: Structures of `tf.TensorSpec`, the arguments of `call`.
    """
    import tensorflow as tf

    def traced(weights, *arguments):
        mapping = list(zip(variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            outputs = keras.tree.flatten(call(*arguments))
        return [output for output in outputs if output is not None]

    specs = [tf.TensorSpec(v.shape, v.dtype) for v in variables]
    # Layers can be built, and then classified, within a graph.
    with tf.init_scope():
        graph = tf.function(traced, autograph=False).get_concrete_function(specs, *inputs).graph
    count, roles = len(variables), Roles()
    captured = {id(tensor) for tensor in graph.internal_captures}
    given = [
        _Value(frozenset([i])) if i < count else _CONSTANT if id(tensor) in captured else _DATA
        for i, tensor in enumerate(graph.inputs)
    ]
    _Walk(roles, [len(v.shape) for v in variables]).through(graph, given)
    return roles


class _Walk:
    """Follows weights through a graph and the graphs that it calls."""

    def __init__(self, roles: Roles, ranks: list[int]):
        self._roles, self._ranks = roles, ranks

    def through(self, graph: Any, given: Sequence[_Value]) -> list[_Value]:
        """The values of a graph's outputs, given those of its inputs."""
        values = {tensor.ref(): value for tensor, value in zip(graph.inputs, given, strict=True)}
        for operation in graph.get_operations():
            if operation.type == "Placeholder":
                continue
            inputs = [values.get(tensor.ref(), _CONSTANT) for tensor in operation.inputs]
            for tensor, value in zip(
                operation.outputs, self._outputs(operation, inputs), strict=True
            ):
                values[tensor.ref()] = value
        return [values.get(tensor.ref(), _CONSTANT) for tensor in graph.outputs]

    def _outputs(self, operation, inputs):
        if operation.type == "IdentityN":
            return inputs
        called = compat.called_graphs(operation)
        if operation.type in LOOPS:
            return self._loop(called[0], inputs)
        if called:
            arguments = inputs[-len(called[0].inputs) :] if called[0].inputs else []
            branches = [self.through(graph, arguments) for graph in called]
            return [_join(values) for values in zip(*branches, strict=True)]
        return [self._output(operation, inputs)] * len(operation.outputs)

    def _loop(self, body, inputs):
        # What an iteration replaces depends on the iterations before it.
        kept = [
            value if output is given else self._mixed(value)
            for value, given, output in zip(inputs, body.inputs, body.outputs, strict=True)
        ]
        self.through(body, kept)
        return kept

    def _mixed(self, value):
        self._roles.others.update(value.weights)
        return _DATA

    def _output(self, operation, inputs):
        kind = operation.type
        if kind in PRODUCTS:
            for value in inputs:
                self._roles.products.update(value.weights)
        if any(value.is_data for value in inputs):
            if kind not in PRODUCTS | SUMS:
                self._roles.others.update(*(value.weights for value in inputs))
            return _DATA
        everything = frozenset().union(*(value.weights for value in inputs))
        kept = self._kept(operation, inputs) if everything else everything
        if kind not in PRODUCTS | SUMS:
            self._roles.others.update(everything - kept)
        return _Value(kept)

    def _kept(self, operation, inputs):
        """The weights of which the output consists."""
        kind = operation.type
        if kind in PRODUCTS:
            return frozenset().union(*(value.weights for value in inputs))
        if kind in FIRST_OPERAND:
            inputs = inputs[:1]
        elif kind in ELEMENTWISE:
            # What is broadcast scales or shifts a matrix.
            size = operation.outputs[0].shape.num_elements()
            inputs = [
                value
                for value, tensor in zip(inputs, operation.inputs, strict=True)
                if tensor.shape.num_elements() == size
            ]
        elif kind == "ConcatV2":
            # A bias as one more row of a matrix.
            matrices = [value for value in inputs if self._is_matrix(value)]
            inputs = matrices or inputs
        elif kind not in REARRANGEMENTS:
            inputs = []
        return frozenset().union(*(value.weights for value in inputs))

    def _is_matrix(self, value):
        return any(self._ranks[i] > 1 for i in value.weights)


def _join(values):
    """The value of a tensor that has one of several values."""
    weights = frozenset().union(*(value.weights for value in values))
    return _Value(weights, any(value.is_data for value in values))
