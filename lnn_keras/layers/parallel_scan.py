"""All steps of a recurrence at once, by Newton's method (JAX only).

A scan computes h_t = step(h_{t-1}, x_t) sequentially. Here all h_t are guessed at once and
improved together: with J_t the Jacobian of the step at the guess, the changes that solve the
linearized equations

    change_t = J_t change_{t-1} + (step(h_{t-1}, x_t) - h_t),    change_{-1} = 0

are a linear recurrence, which an associative scan solves in about log2(time) wide
operations. After k iterations at least the first k states are exact. States that forget
their past need few iterations, for sequences of any length. "quasi_newton" keeps only
the diagonal of J_t: no matrix products, but more iterations.

Derivatives follow from the implicit function theorem. A gradient is one linear recurrence backwards
in time, with full Jacobians in both methods, then one gradient of the step at all times at once.
A forward-mode derivative is the recurrence forwards in time. Both can be differentiated again.

Cost, for d units: the Jacobians are tensors of time * batch * d^2 values, a few of which exist at
a time in the iterations and in the gradient (between the two only the states are stored). Each
iteration computes more than d times as much as a scan. So it is faster where a device is
underused otherwise: long sequences, few units, small batches, an accelerator. On a CPU a scan
is faster. `python -m benchmarks.parallel` measures it.

References: Lim et al., Parallelizing non-linear sequential models over the sequence
length, ICLR 2024 (Newton); Gonzalez et al., Towards scalable and stable parallelization
of nonlinear RNNs, NeurIPS 2024 (the diagonal).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lnn_keras.argument_checks import require_choice
from lnn_keras.autodiff.jax_primitives import linear_map, with_derivative
from lnn_keras.layers.linear_recurrence import (
    newton_change,
    parallel_backward,
    quasi_newton_change,
    sequential_backward,
    sequential_forward,
)
from lnn_keras.tensors import Tensor

METHODS = ("newton", "quasi_newton")
TOLERANCE = 1e-6
MAX_ITERATIONS = 64
_CHANGES = {"newton": newton_change, "quasi_newton": quasi_newton_change}


def parallel_scan(
    step: Callable,
    initial: Tensor,
    inputs: Any,
    *,
    method: str = "newton",
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the states of a recurrence, with gradients for everything that they depend on.

    Args:
        step: Function (h, inputs of a step) -> new h, each (batch, units), in which the samples
            of the batch are independent. It may use other tensors, for instance weights.
        initial: The state before the first step (batch, units).
        inputs: Floating-point tensor (time, batch, any size), or a structure of them.
        method: "newton" or "quasi_newton".
        tolerance: The largest accepted change in the last iteration, relative to the largest
            state, or absolute where that is below 1.
        max_iterations: The greatest number of iterations. If they do not converge, or a value is
            not finite, a scan computes the states.

    Returns:
        The states after each step (time, batch, units); the number of iterations; whether
        they converged, so that no scan was needed.

    Raises:
        ValueError: Unknown `method`.
    """
    import jax

    require_choice("method", method, METHODS)
    # In the reduced precision of accelerators, the iterations may stall above the tolerance.
    with jax.default_matmul_precision("highest"):
        first = jax.tree.map(lambda tensor: tensor[0], inputs)
        step, weights = jax.closure_convert(step, initial, first)
    steps = jax.vmap(lambda h, inputs, weights: step(h, inputs, *weights), in_axes=(0, 0, None))

    problem = _Problem(step, steps, jax.tree.structure(inputs), method, tolerance, max_iterations)
    states, iterations, converged = problem.solve([initial, *jax.tree.leaves(inputs), *weights])
    return states, iterations.astype("int32"), converged > 0


@dataclass(frozen=True)
class _Problem:
    """All states of a recurrence, as a function of [initial state, *inputs, *weights].

    Args:
        step: Function (h, inputs of a step, *weights) -> new h.
        steps: The step at all times at once (states before, inputs, weights) -> states.
        structure: The structure of the inputs.
        method: As `parallel_scan` takes it.
        tolerance: As `parallel_scan` takes it.
        max_iterations: As `parallel_scan` takes it.
    """

    step: Callable
    steps: Callable
    structure: Any
    method: str
    tolerance: float
    max_iterations: int

    def solve(self, tensors: list[Tensor]) -> list[Tensor]:
        """The states, the number of iterations, and 1 if they converged, else 0."""
        return with_derivative(lambda *tensors: self._solve(tensors), self._derivative, tensors)

    def _solve(self, tensors):
        import jax
        from jax import numpy as jnp

        initial, inputs, weights = self._separate(tensors)
        guess, iterations, converged = _iterate(
            lambda before: self.steps(before, inputs, weights),
            initial,
            tensors[1].shape[0],
            _CHANGES[self.method],
            self.tolerance,
            self.max_iterations,
        )
        states = jax.lax.cond(
            converged, lambda: guess, lambda: _scan(self.step, initial, inputs, weights)
        )
        # Only floating-point results have tangents.
        return states, *(jnp.asarray(number, states.dtype) for number in (iterations, converged))

    def _derivative(self, tensors, tangents):
        states, iterations, converged = self.solve(tensors)
        residuals = [*tensors, states, converged]
        of_states = linear_map(self._tangents, self._gradients, residuals, tangents, like=[states])
        return [*of_states, 0 * iterations, 0 * converged]

    def _tangents(self, residuals, vectors):
        """Solve tangent_t = J_t tangent_{t-1} + the direct effect of the vectors at t."""
        import jax
        from jax import numpy as jnp

        *tensors, states, converged = residuals
        initial, inputs, weights = self._separate(tensors)
        of_initial, *directions = self._separate(vectors)
        before = _before(initial, states)
        of_before = _before(of_initial, jnp.zeros_like(states))
        _, effects = jax.jvp(self.steps, (before, inputs, weights), (of_before, *directions))
        push = jax.linearize(lambda before: self.steps(before, inputs, weights), before)[1]
        solution = jax.lax.cond(
            converged > 0,
            lambda effects: newton_change(push, effects),
            lambda effects: sequential_forward(self.step, before, inputs, weights, effects),
            effects,
        )
        return [solution]

    def _gradients(self, residuals, cotangents):
        """The transpose of `_tangents`."""
        import jax

        *tensors, states, converged = residuals
        initial, inputs, weights = self._separate(tensors)
        before = _before(initial, states)
        _, pull_back = jax.vjp(self.steps, before, inputs, weights)
        solution = jax.lax.cond(
            converged > 0,
            lambda upstream: parallel_backward(lambda v: pull_back(v)[0], upstream),
            lambda upstream: sequential_backward(self.step, before, inputs, weights, upstream),
            cotangents[0],
        )
        of_before, of_inputs, of_weights = pull_back(solution)
        return [of_before[0], *jax.tree.leaves(of_inputs), *of_weights]

    def _separate(self, tensors):
        """The initial state, the inputs in their structure, and the weights."""
        import jax

        initial, *rest = tensors
        count = self.structure.num_leaves
        return initial, jax.tree.unflatten(self.structure, rest[:count]), list(rest[count:])


def _iterate(steps, initial, length, change_of, tolerance, max_iterations):
    """Improve a guess of all states: -> (states, iterations, whether they converged)."""
    import jax
    from jax import numpy as jnp

    def improve(progress):
        states, _, iterations = progress
        values, push = jax.linearize(steps, _before(initial, states))
        change = change_of(push, values - states)
        states = states + change
        size = jnp.max(jnp.abs(change)) / jnp.maximum(1, jnp.max(jnp.abs(states)))
        # XLA's maximum may ignore NaN.
        size = jnp.where(jnp.all(jnp.isfinite(states)), size, jnp.nan)
        return states, size, iterations + 1

    def unfinished(progress):
        _, size, iterations = progress
        # NaN compares false both here and below: no more iterations, and not converged.
        return (size > tolerance) & (iterations < max_iterations)

    guess = jnp.broadcast_to(initial, (length, *initial.shape))
    start = guess, jnp.array(jnp.inf, guess.dtype), 0
    states, size, iterations = jax.lax.while_loop(unfinished, improve, start)
    return states, iterations, size <= tolerance


def _scan(step, initial, inputs, weights):
    """The states, one step after the other."""
    import jax

    def advance(h, inputs):
        h = step(h, inputs, *weights)
        return h, h

    return jax.lax.scan(advance, initial, inputs)[1]


def _before(initial, states):
    """The states before the steps."""
    from jax import numpy as jnp

    return jnp.concatenate([initial[None], states[:-1]])
