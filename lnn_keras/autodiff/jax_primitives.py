"""Two primitives of JAX: functions with a derivative of their own, and linear maps.

`jax.custom_vjp` refuses forward-mode derivatives, and `jax.custom_jvp` is forgotten by a scan that
is differentiated twice in reverse mode. A function whose derivative is a linear map with a
transpose of its own has derivatives in both modes and of every order: its gradient is
the transpose.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from lnn_keras.tensors import Tensor


def with_derivative(
    function: Callable, derivative: Callable, tensors: Sequence[Tensor]
) -> list[Tensor]:
    """Compute a function that has a derivative of its own.

    Args:
        function: Function of tensors that returns a list of tensors. It may use no other tensors.
        derivative: Function (tensors, tangents) -> the tangents of the results.
        tensors: Floating-point tensors.
    """
    import jax
    from jax.extend.core import jaxpr_as_fun

    # Traced once, here; the primitive is computed from the result.
    jaxpr = jax.make_jaxpr(function)(*tensors)
    return _functions().bind(
        *tensors,
        function=jaxpr_as_fun(jaxpr),
        derivative=derivative,
        shapes=_shapes(jaxpr.out_avals),
    )


def linear_map(
    apply: Callable,
    transpose: Callable,
    residuals: Sequence[Tensor],
    vectors: Sequence[Tensor],
    like: Sequence[Tensor],
) -> list[Tensor]:
    """Apply a map that is linear in the vectors, and depends on the residuals as well.

    Args:
        apply: Function (residuals, vectors) -> list of tensors. It may use no other tensors. Its
            derivatives for the residuals are those of its operations.
        transpose: Function (residuals, cotangents) -> list of tensors of the shapes of the vectors:
            the transposed map.
        residuals: Floating-point tensors.
        vectors: Floating-point tensors.
        like: Tensors of the shapes and dtypes of the results.
    """
    return _linear_maps().bind(
        *residuals,
        *vectors,
        apply=apply,
        transpose=transpose,
        count=len(residuals),
        shapes=_shapes(like),
    )


def _shapes(tensors):
    """Shapes and dtypes, as values that can be hashed."""
    return tuple((tuple(tensor.shape), tensor.dtype) for tensor in tensors)


def _primitive(name, evaluate, derivative, batched) -> Any:
    """A primitive with several results, whose parameter `shapes` holds their shapes."""
    from jax.core import ShapedArray
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

    primitive = Primitive(f"lnn_keras_{name}")
    primitive.multiple_results = True
    primitive.def_impl(evaluate)
    primitive.def_abstract_eval(lambda *_, shapes, **__: [ShapedArray(*shape) for shape in shapes])
    mlir.register_lowering(primitive, mlir.lower_fun(evaluate, multiple_results=True))
    ad.primitive_jvps[primitive] = derivative
    batching.primitive_batchers[primitive] = batched
    return primitive


@functools.cache
def _functions() -> Any:
    return _primitive("function", _function, _function_derivative, _function_batched)


def _function(*tensors, function, **_):
    return list(function(*tensors))


def _function_derivative(tensors, tangents, **parameters):
    results = _functions().bind(*tensors, **parameters)
    return results, parameters["derivative"](list(tensors), _instantiated(tangents))


def _function_batched(tensors, axes, *, function, derivative, shapes):
    import jax

    tensors, _, size = _leading_axes(tensors, axes, 0)
    results = _functions().bind(
        *tensors,
        function=jax.vmap(function, axis_size=size),
        derivative=jax.vmap(derivative, axis_size=size),
        shapes=_batched_shapes(size, shapes),
    )
    return results, [0] * len(results)


@functools.cache
def _linear_maps() -> Any:
    from jax.interpreters import ad

    primitive = _primitive("linear_map", _map, _map_derivative, _map_batched)
    ad.primitive_transposes[primitive] = _map_transposed
    return primitive


def _map(*tensors, apply, count, **_):
    return list(apply(list(tensors[:count]), list(tensors[count:])))


def _map_derivative(tensors, tangents, **parameters):
    """The product rule: the map of the vectors' tangents, and the derivative for the residuals."""
    import jax
    from jax.interpreters import ad

    count = parameters["count"]
    residuals, vectors = tensors[:count], tensors[count:]
    of_residuals, of_vectors = (
        None if all(type(tangent) is ad.Zero for tangent in part) else _instantiated(part)
        for part in (tangents[:count], tangents[count:])
    )
    results, terms = _linear_maps().bind(*tensors, **parameters), []
    if of_vectors is not None:
        terms.append(_linear_maps().bind(*residuals, *of_vectors, **parameters))
    if of_residuals is not None:
        at_residuals = lambda *residuals: _map(*residuals, *vectors, **parameters)  # noqa: E731
        terms.append(jax.jvp(at_residuals, tuple(residuals), tuple(of_residuals))[1])
    return results, [sum(parts[1:], parts[0]) for parts in zip(*terms, strict=True)]


def _map_transposed(cotangents, *tensors, apply, transpose, count, shapes):
    """The cotangents of the vectors, by the same primitive with both maps exchanged."""
    from jax import numpy as jnp
    from jax.interpreters import ad

    vectors = [tensor.aval for tensor in tensors[count:]]
    cotangents = [
        jnp.zeros(*shape) if type(cotangent) is ad.Zero else cotangent
        for cotangent, shape in zip(cotangents, shapes, strict=True)
    ]
    of_vectors = linear_map(transpose, apply, tensors[:count], cotangents, like=vectors)
    return [None] * count + of_vectors


def _map_batched(tensors, axes, *, apply, transpose, count, shapes):
    """The maps over a new first axis of the vectors, and of the residuals that have one."""
    import jax

    tensors, mapped, size = _leading_axes(tensors, axes, count)
    results = _linear_maps().bind(
        *tensors,
        apply=jax.vmap(apply, in_axes=(mapped, 0), axis_size=size),
        transpose=jax.vmap(transpose, in_axes=(mapped, 0), axis_size=size),
        count=count,
        shapes=_batched_shapes(size, shapes),
    )
    return results, [0] * len(results)


def _instantiated(tangents):
    from jax.interpreters import ad

    return [ad.instantiate_zeros(tangent) for tangent in tangents]


def _leading_axes(tensors, axes, count):
    """The tensors with the mapped axis in front, the first `count` only if they have one."""
    from jax.interpreters import batching

    pairs = list(zip(tensors, axes, strict=True))
    size = next(tensor.shape[axis] for tensor, axis in pairs if axis is not None)
    tensors = [
        tensor if i < count and axis is None else batching.bdim_at_front(tensor, axis, size)
        for i, (tensor, axis) in enumerate(pairs)
    ]
    return tensors, [None if axis is None else 0 for axis in axes[:count]], size


def _batched_shapes(size, shapes):
    return tuple(((size, *shape), dtype) for shape, dtype in shapes)
