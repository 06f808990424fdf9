"""Recurrences h_t = M_t(h_{t-1}) of Moebius maps, one step after the other or in blocks.

Maps of different neurons do not mix, so that a sequence of them is one map per neuron again. In
blocks, the maps of `BLOCK` steps are composed, in all blocks at once; the composed maps then lead
from block to block, and to each step within a block. This takes about BLOCK + time / BLOCK steps in
the place of time, and twice the arithmetic.

The gradient stores nothing but the maps and the states: with J_t = M_t'(h_{t-1}),

    g_t = upstream_t + J_{t+1} g_{t+1}

is a recurrence of linear maps backwards in time, which runs in the same way. It can be
differentiated again, on JAX in forward mode too.

References: Blelloch, Prefix sums and their applications, 1990; Martin and Cundy, Parallelizing
linear recurrent neural nets over sequence length, ICLR 2018 (the gradient).
"""

from collections.abc import Callable

import keras

from lnn_keras.autodiff.custom_gradient import with_gradient
from lnn_keras.autodiff.jax_primitives import linear_map, with_derivative
from lnn_keras.compat import time_loop
from lnn_keras.solvers.mobius import Mobius
from lnn_keras.tensors import Tensor, ops

BLOCK = 128
# A function (maps, initial state) -> all states.
Recurrence = Callable[[Mobius, Tensor], Tensor]


def states_of(maps: Mobius, initial: Tensor, recurrence: Recurrence) -> Tensor:
    """The states h_t = M_t(h_{t-1}), with derivatives of every order.

    Args:
        maps: Maps (batch, time, units), with c.
        initial: The state before the first step (batch, units).
        recurrence: `step_by_step` or `in_blocks`.

    Returns:
        The states (batch, time, units).
    """

    def forward(*tensors):
        *maps, initial = tensors
        return [recurrence(Mobius(*maps), initial)]

    def derivative(tensors, tangents):
        states = states_of(Mobius(*tensors[:3]), tensors[3], recurrence)
        partial = _partial_derivatives(tensors, states)
        *of_maps, of_initial = tangents
        pairs = zip(partial[1:], of_maps, strict=True)
        effects: Tensor = sum(p * tangent for p, tangent in pairs)
        first = partial[0][:, 0] * of_initial
        effects = ops.concatenate([effects[:, :1] + first[:, None], effects[:, 1:]], axis=1)
        return _linear_map_of(partial[0], effects, recurrence, backwards=False)

    def gradient(tensors, results, cotangents):
        partial = _partial_derivatives(tensors, results[0])
        g = _linear_states(_following(partial[0]), cotangents[0], recurrence, backwards=True)
        return [*(p * g for p in partial[1:]), partial[0][:, 0] * g[:, 0]]

    tensors = [*maps, initial]
    if keras.backend.backend() == "jax":
        return with_derivative(forward, derivative, tensors)[0]
    return with_gradient(forward, gradient, tensors)[0]


def _partial_derivatives(tensors, states):
    """The derivatives of h_t = M_t(h_{t-1}) for h_{t-1}, a, b and c."""
    a, _, c, initial = tensors
    before = _before(initial, states)
    scale = 1 / (c * before + 1)
    return (a - c * states) * scale, before * scale, scale, -states * before * scale


def _linear_states(factors, terms, recurrence, backwards):
    """Solve x_t = factors_t x_{t-1} + terms_t, with 0 before the first step; or backwards in time.

    Its derivatives are recurrences of the same kind.
    """

    def solve(factors, terms):
        if backwards:
            factors, terms = ops.flip(factors, axis=1), ops.flip(terms, axis=1)
        solution = recurrence(Mobius(factors, terms), ops.zeros_like(terms[:, 0]))
        return ops.flip(solution, axis=1) if backwards else solution

    def neighbour(solution):
        """x_{t-1}, or x_{t+1} backwards."""
        return _following(solution) if backwards else _preceding(solution)

    def forward(factors, terms):
        return [solve(factors, terms)]

    def derivative(tensors, tangents):
        factors, terms = tensors
        solution = _linear_states(factors, terms, recurrence, backwards)
        effects = tangents[0] * neighbour(solution) + tangents[1]
        return _linear_map_of(factors, effects, recurrence, backwards)

    def gradient(tensors, results, cotangents):
        of_terms = _transposed(tensors[0], cotangents[0], recurrence, backwards)
        return [of_terms * neighbour(results[0]), of_terms]

    if keras.backend.backend() == "jax":
        return with_derivative(forward, derivative, [factors, terms])[0]
    return with_gradient(forward, gradient, [factors, terms])[0]


def _transposed(factors, cotangents, recurrence, backwards):
    """The transposed map of `_linear_states` as a function of its terms."""
    shift = _preceding if backwards else _following
    return _linear_states(shift(factors), cotangents, recurrence, not backwards)


def _linear_map_of(factors, terms, recurrence, backwards):
    """`_linear_states` on JAX as a linear map of the terms, which JAX can transpose."""
    return linear_map(
        lambda residuals, vectors: [
            _linear_states(residuals[0], vectors[0], recurrence, backwards)
        ],
        lambda residuals, cotangents: [
            _transposed(residuals[0], cotangents[0], recurrence, backwards)
        ],
        [factors],
        [terms],
        like=[terms],
    )


def _before(initial, states):
    """The states before the steps."""
    return ops.concatenate([initial[:, None], states[:, :-1]], axis=1)


def _preceding(tensor):
    """The tensor one step later, with 0 at the first step."""
    return ops.concatenate([ops.zeros_like(tensor[:, :1]), tensor[:, :-1]], axis=1)


def _following(tensor):
    """The tensor one step earlier, with 0 at the last step."""
    return ops.concatenate([tensor[:, 1:], ops.zeros_like(tensor[:, :1])], axis=1)


def step_by_step(maps: Mobius, initial: Tensor) -> Tensor:
    """The states of a recurrence (batch, time, units), one step after the other."""

    def step(joined, states):
        new = _separated(joined, maps)(states[0])
        return new, [new]

    return time_loop(step, _joined(maps), [initial])[0]


def in_blocks(maps: Mobius, initial: Tensor) -> Tensor:
    """The states of a recurrence (batch, time, units), in blocks of `BLOCK` steps at once."""
    length = maps.a.shape[1]
    if length is not None and length <= BLOCK:
        return step_by_step(maps, initial)
    units, length = maps.a.shape[-1], ops.shape(maps.a)[1]
    blocks = (length + BLOCK - 1) // BLOCK
    # Steps that change nothing fill the last block.
    padding = [(0, 0), (0, blocks * BLOCK - length), (0, 0)]
    padded = Mobius(
        *(None if part is None else ops.pad(part, padding) for part in (maps.a - 1, *maps[1:]))
    )
    joined = _joined(padded._replace(a=padded.a + 1))
    size = joined.shape[-1]

    def compose(joined, so_far):
        composed = _separated(joined, maps).after(_map_of(so_far))
        parts = [part for part in composed if part is not None]
        return ops.concatenate(parts, axis=-1), parts

    within = ops.reshape(joined, (-1, BLOCK, size))
    ones = ops.ones_like(within[:, 0, :units])
    identity = [ones, *(ops.zeros_like(ones) for _ in range(size // units - 1))]
    within, _ = time_loop(compose, within, identity)
    within = ops.reshape(within, (-1, blocks, BLOCK, size))

    def lead(joined, states):
        return states[0], [_separated(joined, maps)(states[0])]

    starts, _ = time_loop(lead, within[:, :, -1], [initial])
    states = _separated(within, maps)(starts[:, :, None])
    return ops.reshape(states, (-1, blocks * BLOCK, units))[:, :length]


def _joined(maps):
    """The maps as one tensor: a loop that reads one tensor per step is faster."""
    return ops.concatenate([part for part in maps if part is not None], axis=-1)


def _separated(joined, like):
    return _map_of(ops.split(joined, 2 if like.c is None else 3, axis=-1))


def _map_of(parts):
    return Mobius(*parts)
