"""Linear recurrences x_t = J_t x_{t-1} + b_t of a step with Jacobians J_t (JAX only)."""

from collections.abc import Callable
from typing import Any

from lnn_keras.tensors import Tensor


def newton_change(push: Callable, residual: Tensor) -> Tensor:
    """The change of all states, with full Jacobians."""
    jacobians = _columns(push, residual)
    return _linear_recurrence(jacobians, residual[..., None], _matmul)[..., 0]


def quasi_newton_change(push: Callable, residual: Tensor) -> Tensor:
    """The change of all states, with the diagonals of the Jacobians."""
    from jax import numpy as jnp

    diagonals = jnp.diagonal(_columns(push, residual), axis1=-2, axis2=-1)
    return _linear_recurrence(diagonals, residual, jnp.multiply)


def parallel_backward(pull_back: Callable, upstream: Tensor) -> Tensor:
    """Solve gradient_t = upstream_t + J_{t+1}^T gradient_{t+1} for all t at once."""
    from jax import numpy as jnp

    transposed = _columns(pull_back, upstream)
    following = jnp.concatenate([transposed[1:], jnp.zeros_like(transposed[:1])])
    return _linear_recurrence(following, upstream[..., None], _matmul, reverse=True)[..., 0]


def sequential_backward(
    step: Callable, before: Tensor, inputs: Any, weights: list[Tensor], upstream: Tensor
) -> Tensor:
    """Solve the same recurrence one step after the other."""
    import jax
    from jax import numpy as jnp

    def step_back(carried, at_step):
        before, inputs, upstream = at_step
        gradient = upstream + carried
        _, pull_back = jax.vjp(lambda h: step(h, inputs, *weights), before)
        return pull_back(gradient)[0], gradient

    start = jnp.zeros_like(upstream[0])
    return jax.lax.scan(step_back, start, (before, inputs, upstream), reverse=True)[1]


def sequential_forward(
    step: Callable, before: Tensor, inputs: Any, weights: list[Tensor], effects: Tensor
) -> Tensor:
    """Solve tangent_t = J_t tangent_{t-1} + effect_t one step after the other."""
    import jax
    from jax import numpy as jnp

    def advance(tangent, at_step):
        before, inputs, effect = at_step
        _, pushed = jax.jvp(lambda h: step(h, inputs, *weights), (before,), (tangent,))
        return pushed + effect, pushed + effect

    return jax.lax.scan(advance, jnp.zeros_like(effects[0]), (before, inputs, effects))[1]


def _columns(linear_map, like):
    """The matrices (..., units, units) of a linear map of (..., units), column by column."""
    import jax
    from jax import numpy as jnp

    units = jnp.eye(like.shape[-1], dtype=like.dtype)
    return jax.vmap(lambda unit: linear_map(jnp.broadcast_to(unit, like.shape)), out_axes=-1)(units)


def _linear_recurrence(factors, terms, product, reverse=False):
    """x_t = product(factors_t, x_{t-1}) + terms_t, with 0 before the first."""
    import jax

    def join(earlier, later):
        return (
            product(later[0], earlier[0]),
            product(later[0], earlier[1]) + later[1],
        )

    return jax.lax.associative_scan(join, (factors, terms), reverse=reverse)[1]


def _matmul(a, b):
    from jax import numpy as jnp

    return jnp.matmul(a, b, precision="highest")
