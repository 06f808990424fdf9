"""Normalizations in a step's graph, in the form that integer kernels compute most precisely.

LayerNormalization, RMSNormalization and UnitNormalization compute y = a z + b with

    z = d / sqrt(mean(d^2) + epsilon),

where d is x or x - mean(x). Keras evaluates it as x s + (-mean(x) s), a difference of large
values, with s = 1 / sqrt(...) in a tensor of its own. For 16 bits the difference comes first. For
8 bits a vector's length has too wide a range, so the kernel L2_NORMALIZATION takes its place,
which computes z in 32 bits: epsilon enters as one more element of d.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from export.graph.tf_graph import ConcreteFunction, FlatGraph, rebuild, varying_tensors

# Operations within this name scope become one operation of the file.
NATIVE = "native_l2_normalization"
_COPIES = {"Identity", "StopGradient"}
_PROBES = 4


@dataclass(frozen=True)
class _Normalization:
    """Tensors of x, mean(x) or None, and sqrt or 1 / sqrt of count (mean(d^2) + epsilon)."""

    x: Any
    mean: Any
    root: Any
    epsilon: float
    count: int

    @property
    def inverted(self) -> bool:
        return self.root.op.type == "Rsqrt"

    @property
    def free(self) -> list[Any]:
        return [tensor for tensor in (self.x, self.mean, self.root) if tensor is not None]


def rewrite_normalizations(flat: FlatGraph, activations: str) -> ConcreteFunction:
    """Replace each normalization along the last axis; other graphs are copied.

    Args:
        flat: The step's graph, with batch 1.
        activations: "int8" or "int16".
    """
    varying = varying_tensors(flat)
    derived = {}
    for operation in flat.operations:
        found = _recognize(operation, varying)
        if found is not None:
            for tensor, slope, intercept in _ends(flat, found, varying):
                derived[tensor.name] = (
                    found.x,
                    _replacement(found, tensor, slope, intercept, activations),
                )
    return rebuild(flat, derived=derived)


def _recognize(operation, varying):
    """The normalization whose root an operation computes, or None."""
    if operation.type not in ("Rsqrt", "Sqrt") or operation.outputs[0].name not in varying:
        return None
    argument, epsilon = _without_epsilon(_source(operation.inputs[0]))
    power = argument.op
    if power.type not in ("Mean", "Sum") or not _is_over_last_axis(power):
        return None
    deviation, mean = _squared(_source(power.inputs[0]))
    if deviation is None:
        return None
    count = deviation.shape[-1] if power.type == "Sum" else 1
    return _Normalization(deviation, mean, operation.outputs[0], epsilon / count, count)


def _source(tensor):
    while tensor.op.type in _COPIES:
        tensor = tensor.op.inputs[0]
    return tensor


def _without_epsilon(tensor):
    """The summand of a sum with a constant, and the constant; a lower bound counts as 0."""
    import tensorflow as tf

    if tensor.op.type in ("AddV2", "Add", "Maximum"):
        for index in (0, 1):
            constant: Any = tf.get_static_value(tensor.op.inputs[index])
            if constant is not None and constant.size == 1 and constant.item() >= 0:
                epsilon = 0.0 if tensor.op.type == "Maximum" else constant.item()
                return _source(tensor.op.inputs[1 - index]), epsilon
    return tensor, 0.0


def _squared(tensor):
    """x and its mean (or None) if the tensor is (x - mean(x))^2 or x^2, else (None, None)."""
    import tensorflow as tf

    operation, inputs = tensor.op, [_source(read) for read in tensor.op.inputs]
    if operation.type == "SquaredDifference":
        return _centered(*inputs)
    is_square = (
        operation.type == "Square"
        or (operation.type == "Mul" and inputs[0].name == inputs[1].name)
        or (operation.type == "Pow" and tf.get_static_value(inputs[1]) == 2)
    )
    if not is_square:
        return None, None
    x, mean = (None, None)
    if inputs[0].op.type == "Sub":
        x, mean = _centered(*[_source(read) for read in inputs[0].op.inputs])
    return (inputs[0], None) if x is None else (x, mean)


def _centered(x, mean):
    is_mean = mean.op.type == "Mean" and _is_over_last_axis(mean.op)
    if is_mean and _source(mean.op.inputs[0]).name == x.name:
        return x, mean
    return None, None


def _is_over_last_axis(operation):
    import tensorflow as tf

    axes: Any = tf.get_static_value(operation.inputs[1])
    rank = operation.inputs[0].shape.rank
    return (
        axes is not None
        and operation.get_attr("keep_dims")
        and np.atleast_1d(axes).tolist() in ([-1], [rank - 1])
    )


def _ends(flat, found, varying):
    """Yield the last tensors y = slope z + intercept, with both per feature."""
    import tensorflow as tf

    dependent = {tensor.name for tensor in found.free}
    candidates, following = [], {found.root.name}
    for operation in flat.operations:
        read = [tensor.name for tensor in operation.inputs if tensor.name in varying]
        if not read or not dependent.issuperset(read):
            continue
        dependent.update(tensor.name for tensor in operation.outputs)
        if not following.isdisjoint(read):
            following.update(tensor.name for tensor in operation.outputs)
            candidates += [t for t in operation.outputs if t.shape == found.x.shape]
    with tf.compat.v1.Session(graph=found.root.graph) as session:
        maps = {t.name: _slope_and_intercept(session, t, found) for t in candidates}
    affine_maps = {name: affine for name, affine in maps.items() if affine is not None}
    matching = affine_maps.keys()
    outputs = {tensor.name for tensor in flat.outputs.values()}
    for tensor in candidates:
        readers = [op for op in flat.operations if any(t.name == tensor.name for t in op.inputs)]
        is_read = any(matching.isdisjoint(t.name for t in reader.outputs) for reader in readers)
        if tensor.name in matching and (is_read or tensor.name in outputs):
            slope, intercept = affine_maps[tensor.name]
            yield tensor, slope, intercept


def _slope_and_intercept(session, tensor, found):
    """Slope and intercept of a tensor as a map of z, or None: random values decide."""
    random = np.random.default_rng(0)

    def run(x, mean, root):
        values = {found.x.name: x, found.root.name: root}
        if found.mean is not None:
            values[found.mean.name] = mean
        return session.run(tensor.name, values).astype("float64")

    size, shape = found.x.shape, found.root.shape
    zero = np.zeros(shape, "float32")
    one = np.ones(shape, "float32")
    intercept = run(np.zeros(size, "float32"), zero, one)
    slope = run(np.ones(size, "float32"), zero, one) - intercept
    for _ in range(_PROBES):
        x = random.standard_normal(size).astype("float32")
        mean = random.standard_normal(shape).astype("float32")
        root = random.uniform(0.5, 2, shape).astype("float32")
        scaled = (x - mean if found.mean is not None else x) * (
            root if found.inverted else 1 / root
        )
        expected = slope * scaled + intercept
        if not np.allclose(run(x, mean, root), expected, rtol=1e-4, atol=1e-4 * np.ptp(expected)):
            return None
    return slope.astype("float32"), intercept.astype("float32")


def _replacement(found, end, slope, intercept, activations):
    """A function from x to y = slope z + intercept."""
    import tensorflow as tf

    size = found.x.shape[-1]

    def normalized(x):
        name = end.op.name
        deviation: Any = x
        if found.mean is not None:
            mean = tf.reduce_mean(x, -1, keepdims=True, name=f"{name}/mean")
            deviation = tf.subtract(x, mean, name=f"{name}/deviation")
        if activations == "int8":
            scaled = _l2_normalized(deviation, found.epsilon, name) * np.float32(np.sqrt(size))
        else:
            square = tf.multiply(deviation, deviation, name=f"{name}/square")
            variance = tf.reduce_mean(square, -1, keepdims=True, name=f"{name}/variance")
            root = tf.math.rsqrt(variance + found.epsilon, name=f"{name}/root")
            scaled = deviation * root
        factor = slope / np.float32(np.sqrt(found.count))
        return tf.add(scaled * factor, intercept, name=name)

    return normalized


def _l2_normalized(deviation, epsilon, name):
    """d / sqrt(sum(d^2) + n epsilon), with the last term as the square of one more element."""
    import tensorflow as tf

    size = deviation.shape[-1]
    constant = np.sqrt(size * epsilon)
    peak = np.full((*deviation.shape[:-1], 1), constant, "float32")
    # A constant below the resolution of 8 bits would only cost time.
    extended = tf.concat([deviation, peak], -1, name=f"{name}/extended") if constant else deviation
    with tf.name_scope(f"{name}/{NATIVE}"):
        unit = tf.math.l2_normalize(extended, -1)
    return unit[..., :size]
