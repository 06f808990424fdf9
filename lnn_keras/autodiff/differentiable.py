"""Functions that know their own gradient and tangent, with derivatives of every order.

For y = f(x), the gradient is B(x, u) = J(x)^T u, and the tangent function is
f2(x, v) = (f(x), J(x) v). The tangent function is of the same kind, with a gradient B2. So all
further derivatives follow: B is linear in u, and

    the derivative of B(x, u) along (dx, du)    =  first part of B2((x, dx), (du, u)),
    the gradient of sum(w B(x, u)) for x and u  =  first part of B2((x, w), (0, u)), and J(x) w.
"""

import functools
from collections.abc import Sequence
from typing import Protocol

import keras

from lnn_keras.autodiff.custom_gradient import with_gradient
from lnn_keras.autodiff.jax_primitives import linear_map, with_derivative
from lnn_keras.tensors import Tensor, ops


class Differentiable(Protocol):
    """A pure function of floating-point tensors."""

    def forward(self, tensors: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """The results, and a floating-point tensor that `backward` needs.

        The tensor must be the same for the tangent function. It is taken as a constant.
        """
        ...

    def backward(
        self, tensors: list[Tensor], kept: Tensor, cotangents: list[Tensor]
    ) -> list[Tensor]:
        """The gradients of sum(cotangents * results) for the tensors."""
        ...

    def tangent(self) -> "Differentiable":
        """The function of [*tensors, *tangents] with the results [*results, *their tangents]."""
        ...


def evaluate(function: Differentiable, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The results of a function, which can be differentiated to any order.

    Args:
        function: The function. It may use no tensors but its arguments.
        tensors: Its arguments.
    """
    return _evaluate(function, list(tensors))[0]


def _evaluate(function, tensors):
    """The results, and the tensor that the gradient needs."""

    def forward(*tensors):
        results, kept = function.forward(list(tensors))
        return [*results, kept]

    if keras.backend.backend() == "jax":
        *results, kept = with_derivative(
            forward, functools.partial(_tangents_of_results, function), tensors
        )
        return results, kept

    def gradient(tensors, results, cotangents):
        return _pull_back(function, tensors, results[-1], cotangents[:-1])

    *results, kept = with_gradient(forward, gradient, tensors)
    return results, kept


def _pull_back(function, tensors, kept, cotangents):
    """The gradients for the tensors, which can be differentiated as well."""
    count, joined = len(tensors), [*tensors, kept, *cotangents]

    def backward(*joined):
        return function.backward(list(joined[:count]), joined[count], list(joined[count + 1 :]))

    if keras.backend.backend() == "jax":
        return with_derivative(
            backward, functools.partial(_tangents_of_gradients, function, count), joined
        )

    def gradient(joined, results, directions):
        tensors, kept, cotangents = joined[:count], joined[count], joined[count + 1 :]
        of_tensors, of_cotangents = _second(function, tensors, kept, cotangents, directions)
        return [*of_tensors, ops.zeros_like(kept), *of_cotangents]

    return with_gradient(backward, gradient, joined)


def _second(function, tensors, kept, cotangents, directions):
    """The gradients of sum(directions * gradients) for the tensors and for the cotangents."""
    tangent, joined = function.tangent(), [*tensors, *directions]
    zeros = [ops.zeros_like(cotangent) for cotangent in cotangents]
    of_tensors = _pull_back(tangent, joined, kept, [*zeros, *cotangents])[: len(tensors)]
    return of_tensors, evaluate(tangent, joined)[len(cotangents) :]


def _tangents_of_results(function, tensors, tangents):
    """JAX's rule for `_evaluate`: a linear map, whose transpose is the gradient."""
    results, kept = _evaluate(function, tensors)

    def apply(residuals, vectors):
        joined = evaluate(function.tangent(), [*residuals[:-1], *vectors])
        return joined[len(results) :]

    def transpose(residuals, cotangents):
        return _pull_back(function, residuals[:-1], residuals[-1], cotangents)

    of_results = linear_map(apply, transpose, [*tensors, kept], tangents, like=results)
    return [*of_results, ops.zeros_like(kept)]


def _tangents_of_gradients(function, count, joined, tangents):
    """JAX's rule for `_pull_back`: a linear map, whose transpose are the second gradients."""

    def apply(residuals, vectors):
        tensors, kept, cotangents = residuals[:count], residuals[count], residuals[count + 1 :]
        of_tensors, of_cotangents = vectors[:count], vectors[count:]
        return _pull_back(
            function.tangent(), [*tensors, *of_tensors], kept, [*of_cotangents, *cotangents]
        )[:count]

    def transpose(residuals, directions):
        tensors, kept, cotangents = residuals[:count], residuals[count], residuals[count + 1 :]
        parts = _second(function, tensors, kept, cotangents, directions)
        return [*parts[0], *parts[1]]

    vectors = [*tangents[:count], *tangents[count + 1 :]]
    return linear_map(apply, transpose, joined, vectors, like=joined[:count])
