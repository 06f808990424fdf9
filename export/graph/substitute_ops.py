"""Operations without a kernel on the target, replaced by products and sums.

16-bit kernels lack division, exponential and logarithm; TFLite Micro's 8-bit kernels lack the
last two. Each becomes a polynomial per element, fitted on its range over the calibration
samples. Negation, squares, sums and gathers become products and means without approximation.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.forms.form import Form
from export.graph import polynomial
from export.graph.kernel_check import lacking
from export.graph.tf_graph import ConcreteFunction, FlatGraph, fetch, layer_of, rebuild
from export.recipes import Recipe
from export.targets import Target

MAX_SAMPLES = 2000
_EVERYWHERE = (-np.inf, np.inf)
_POSITIVE = (0.0, np.inf)
_NEGATIVE = (-np.inf, 0.0)


@dataclass(frozen=True)
class _Smooth:
    """A function that a polynomial can approximate, the index of its argument, its domain."""

    function: Callable
    argument: int = 0
    domain: tuple[float, float] = _EVERYWHERE


_SMOOTH = {
    "RealDiv": _Smooth(np.reciprocal, argument=1),
    "Exp": _Smooth(np.exp),
    "Expm1": _Smooth(np.expm1),
    "Log": _Smooth(np.log, domain=_POSITIVE),
    "Rsqrt": _Smooth(lambda x: x**-0.5, domain=_POSITIVE),
    "Softplus": _Smooth(lambda x: np.logaddexp(0, x)),
    "Sqrt": _Smooth(np.sqrt, domain=_POSITIVE),
}


def _sum(operation, x, axes):
    import tensorflow as tf

    mean = tf.reduce_mean(x, axes, keepdims=operation.get_attr("keep_dims"))
    return mean * (operation.inputs[0].shape.num_elements() / mean.shape.num_elements())


def _power(operation, x, exponent):
    exponent = _static_scalar(operation.inputs[1])
    if exponent is None or exponent not in range(2, 9):
        raise ValueError(f"{operation.name} takes the power {exponent}; allowed: 2 to 8.")
    return functools.reduce(lambda product, factor: product * factor, [x] * int(exponent))


def _static_scalar(tensor):
    """The value of a constant scalar tensor, or None."""
    import tensorflow as tf

    value: Any = tf.get_static_value(tensor)
    return None if value is None or value.size != 1 else value.item()


def _gather(operation, x, indices, axis):
    import tensorflow as tf

    return tf.matmul(x, tf.one_hot(indices, x.shape[-1], axis=0))


_EXACT = {
    "GatherV2": _gather,
    "Pow": _power,
    "Neg": lambda operation, x: x * -1.0,
    "Square": lambda operation, x: x * x,
    "Sum": _sum,
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
    operations = [operation for operation, *_ in lacking(flat, recipe, target)]
    smooth = [operation for operation in operations if operation.type in _SMOOTH]
    arguments = [operation.inputs[_SMOOTH[operation.type].argument] for operation in smooth]
    ranges = _ranges(flat, arguments, samples)
    replacements: dict[str, Callable[..., Any]] = {
        operation.name: functools.partial(_EXACT[operation.type], operation)
        for operation in operations
        if operation.type in _EXACT
    }
    for operation, (low, high) in zip(smooth, ranges, strict=True):
        replacements[operation.name] = _approximation(operation, low, high, model)
    return rebuild(flat, replacements)


def _approximation(operation, low, high, model):
    smooth = _SMOOTH[operation.type]
    domain = smooth.domain
    try:
        if operation.type == "RealDiv":
            domain = _domain_of_reciprocal(low, high)
        approximate = polynomial.fit(smooth.function, low, high, domain)
    except ValueError as error:
        raise ValueError(
            f"{operation.type} in layer {layer_of(operation.name, model)!r} has no integer form: "
            f"{error}."
        ) from error
    if operation.type == "RealDiv":
        return lambda numerator, denominator: numerator * approximate(denominator)
    return approximate


def _domain_of_reciprocal(low, high):
    if (low > 0).all():
        return _POSITIVE
    if (high < 0).all():
        return _NEGATIVE
    raise ValueError(
        "its denominator comes too close to 0 on the calibration data: its range is "
        f"[{low.min():.4g}, {high.max():.4g}]"
    )


def _ranges(flat, tensors, samples):
    """Least and greatest value of each element of each tensor, over the samples."""
    subset = samples[:: max(1, len(samples) // MAX_SAMPLES)]
    return [
        (np.min(values, axis=0), np.max(values, axis=0)) for values in fetch(flat, tensors, subset)
    ]
