"""Operations without a kernel on the target, replaced by products and sums.

16-bit kernels lack division, exponential and logarithm; TFLite Micro's 8-bit kernels lack the
last two. Each is approximated on its range over the calibration samples. Negation, squares, sums
and gathers become products and means without approximation.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from export.forms.form import Form
from export.graph.approximations import APPROXIMATED, ERF, approximate
from export.graph.kernel_check import lacking
from export.graph.tf_graph import (
    ConcreteFunction,
    FlatGraph,
    fetch,
    layer_of,
    rebuild,
    varying_tensors,
)
from export.recipes import Recipe
from export.targets import Target

MAX_SAMPLES = 2000
# Largest integer power that becomes a product.
MAX_POWER = 8


def _sum(operation, x: Any, axes):
    import tensorflow as tf

    mean = tf.reduce_mean(x, axes, keepdims=operation.get_attr("keep_dims"))
    return mean * (operation.inputs[0].shape.num_elements() / mean.shape.num_elements())


def _power(operation, x, _):
    exponent: Any = _static_scalar(operation.inputs[1])
    return functools.reduce(lambda product, factor: product * factor, [x] * int(exponent))


def _static_scalar(tensor):
    """The value of a constant scalar tensor, or None."""
    import tensorflow as tf

    value: Any = tf.get_static_value(tensor)
    return None if value is None or value.size != 1 else value.item()


def _gather(operation, x, indices, axis):
    import tensorflow as tf

    return tf.matmul(x, tf.one_hot(indices, x.shape[-1], axis=0))


def _relu6(operation, x):
    import tensorflow as tf

    # The converter turns a minimum with 6 back into RELU6.
    return tf.minimum(tf.nn.relu(x), np.nextafter(np.float32(6), np.float32(7)))


def _squared_difference(operation, x, y):
    difference = x - y
    return difference * difference


def _divided_by_constant(operation, x, constant):
    import tensorflow as tf

    return x * tf.math.reciprocal(constant)


_EXACT = {
    "GatherV2": _gather,
    "Neg": lambda operation, x: x * -1.0,
    "Relu6": _relu6,
    "Square": lambda operation, x: x * x,
    "SquaredDifference": _squared_difference,
    "Sum": _sum,
    **{name: lambda operation, x, f=function: f(x) for name, function in ERF.items()},
}


def substitute(
    flat: FlatGraph,
    model: Form,
    recipe: Recipe,
    target: Target,
    samples: Sequence[dict[str, np.ndarray]],
) -> ConcreteFunction:
    """Replace the operations of a step's graph that the target lacks, where possible.

    Args:
        flat: The step's graph, with batch 1.
        model: The step's model; errors name its layers.
        recipe: Its activation dtype decides which kernels the target lacks.
        target: The device that runs the file.
        samples: Inputs and states of typical steps, by name.

    Raises:
        ValueError: No polynomial approximates an operation on the range of its argument.
    """
    varying = varying_tensors(flat)
    extremes = {
        operation.name: functools.partial(_extreme, operation)
        for operation in flat.operations
        if operation.type in ("Maximum", "Minimum") and _shares_an_input(operation, flat, varying)
    }
    exact: dict[str, Callable[..., Any]] = {}
    approximated = []
    for operation, *_ in lacking(flat, recipe, target):
        replacement = _exact(operation, varying)
        if replacement is not None:
            exact[operation.name] = functools.partial(replacement, operation)
        elif operation.type in APPROXIMATED or operation.type == "Pow":
            approximated.append(operation)
    arguments = [operation.inputs[_argument(operation)] for operation in approximated]
    ranges = _ranges(flat, arguments, samples)
    replacements = {
        operation.name: _approximation(operation, low, high, model)
        for operation, (low, high) in zip(approximated, ranges, strict=True)
    }
    return rebuild(flat, extremes | exact | replacements)


def _shares_an_input(operation, flat, varying):
    """Whether another operation, or the model's user, reads an input of this one as well."""
    inputs = {tensor.name for tensor in operation.inputs} & varying
    read = [t.name for op in flat.operations if op.name != operation.name for t in op.inputs]
    return not inputs.isdisjoint([*read, *(tensor.name for tensor in flat.outputs.values())])


def _extreme(operation, x, y):
    """A maximum or minimum by RELU: integer ones have one scale and cut their inputs' ranges."""
    import tensorflow as tf

    constants: list[Any] = [tf.get_static_value(tensor) for tensor in operation.inputs]
    if constants[1] is not None:
        x, y, constants = y, x, constants[::-1]
    sign = 1.0 if operation.type == "Maximum" else -1.0
    if constants[0] is not None and not constants[0].any():
        return tf.nn.relu(y * sign) * sign
    return x + tf.nn.relu((y - x) * sign) * sign


def _exact(operation, varying):
    """A function that equals the operation, or None."""
    if operation.type == "RealDiv" and operation.inputs[1].name not in varying:
        return _divided_by_constant
    if operation.type == "Pow":
        exponent = _static_scalar(operation.inputs[1])
        return _power if exponent in range(1, MAX_POWER + 1) else None
    return _EXACT.get(operation.type)


def _argument(operation):
    """The index of the input whose range decides an approximation."""
    return APPROXIMATED[operation.type].argument if operation.type in APPROXIMATED else 0


def _approximation(operation, low, high, model):
    try:
        if operation.type == "Pow":
            return _approximate_power(operation, low, high)
        return APPROXIMATED[operation.type].build(low, high)
    except ValueError as error:
        raise ValueError(
            f"{operation.type} in layer {layer_of(operation.name, model)!r} has no integer form: "
            f"{error}. Use a float recipe, or change the layer."
        ) from error


def _approximate_power(operation, low, high):
    exponent = _static_scalar(operation.inputs[1])
    if exponent is None:
        raise ValueError("its exponent must be one constant number")
    if np.min(low) < 0:
        raise ValueError(
            f"the power {exponent:.6g} takes no negative numbers, and its range on the calibration "
            f"data is [{np.min(low):.4g}, {np.max(high):.4g}]; the powers 1 to {MAX_POWER} do"
        )
    power = approximate(lambda x: x**exponent, low, high, pole=0.0, relative=exponent < 0)
    return lambda x, _: power(x)


def _ranges(flat, tensors, samples):
    """Least and greatest value of each element of each tensor, over the samples."""
    subset = samples[:: max(1, len(samples) // MAX_SAMPLES)]
    return [
        (np.min(values, axis=0), np.max(values, axis=0)) for values in fetch(flat, tensors, subset)
    ]
