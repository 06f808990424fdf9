"""OnlineDynamics: the parameters of a recurrent cell learn while the stream runs."""

from typing import Any

import numpy as np

from lnn_keras import elapsed as elapsed_time
from lnn_keras.adapt import descent
from lnn_keras.adapt.eligibility import LocalStep
from lnn_keras.adapt.guard_rails import GuardRails, all_finite
from lnn_keras.adapt.online_state import (
    OnlineState,
    fingerprint,
    one_row,
    require_cell,
    require_limit,
    require_state,
)
from lnn_keras.argument_checks import require_at_least, require_choice
from lnn_keras.cells.continuous_time import bounded
from lnn_keras.tensors import Tensor, ops


class OnlineDynamics:
    """Learning of a cell's parameters forwards in time, one step of the stream after the other.

    With a step h' = F(h, x; theta) of the cell and the gradient dL/dy of a loss for the output y,
    each parameter theta of a neuron j has a trace e, the derivative of the neuron's state:

        advance:  e <- (dh'_j/dh_j) e + dh'_j/dtheta,    h <- h'
        learn:    g = (dL/dh_j) e + (dL/dtheta where the output reads theta itself)
                  theta <- theta - learning_rate g             ("sgd"; "rmsprop" divides by the
                                                                root mean square of earlier g)

    No step is stored, so the memory does not depend on the length of the stream: h, the adapted
    parameters, and the traces, which hold as many numbers as the parameters ("rmsprop" holds as
    many once more, and the trained weights stay for the trust region).

    `DiagonalLiquidCell`: no neuron sees another one within the cell, so the traces are exact
    (real-time recurrent learning at the size of the parameters): with constant parameters, the sum
    of g over all steps is the gradient of backpropagation through time. Parameters that change
    make a trace a mixture of derivatives at earlier values, as in all online learning.

    `LiquidCell` and `LTCCell`: the traces keep the diagonal of the Jacobian dh'/dh only, as e-prop
    does. The effect of a neuron on its later self by way of others is missing. With 16 neurons over
    300 steps, the cosine of g to the true gradient is 0.94 and 0.98 with initial weights, 0.75 and
    0.87 after a training (`python -m benchmarks.online_gradients`). Neurons that no output reads,
    as those of a wiring that are not motor neurons, get none. The input scales
    and biases of LTCCell feed several neurons each and stay as they are; sigma and mu of the
    sensory synapses express the same maps.

    Guard rails, each counted in `log`. Lengths and distances are relative to the norm of the
    trained weight tensor; a root mean square below 0.1 counts as 0.1.

    - A gradient that is not finite, for instance of a missing target, is skipped.
    - A step is at most `largest_step` long for each weight tensor. "rmsprop" also shortens
      gradients of more than ten times the usual norm.
    - After the step, each tensor is projected onto the ball of radius `trust_region` around the
      trained one.
    - If `error` is given to `learn`, and its running mean over about `horizon` steps exceeds that
      over ten times as many by the factor `return_above`, the parameters return half of the way
      to the trained weights. The present errors then count as the usual ones.
    - Inputs that are not finite leave the state as it is, and the output of the step is NaN. A
      trace that overflows starts again at 0.

    All methods but `log`, `adapted_weights` and `assign` are pure functions, which `jax.jit` and
    `tf.function` compile. Their results are constants to an outer gradient. A readout may learn
    from the same outputs.

    Args:
        cell: A built DiagonalLiquidCell, LiquidCell or LTCCell. Its dropout is not applied.
        learning_rate: Length of the steps, at least 0; with 0 nothing but the traces moves.
        method: "rmsprop" or "sgd".
        trust_region: The largest relative distance of a weight tensor from the trained one.
        largest_step: The largest relative length of a step.
        return_above: Growth of the running error above which the parameters return, above 1;
            `math.inf` for never.
        horizon: Number of steps of the faster running mean of the errors, at least 10.

    Raises:
        ValueError: The cell is of another type or not built, or a number is outside its range.

    Attributes:
        cell: The cell. Only `assign` changes it.
        variables: The weights of the cell that learn, in the order of the traces.

    Example:

    ```python
    cell, readout = lnn_keras.DiagonalLiquidCell(8), keras.layers.Dense(1)
    model = keras.Sequential([lnn_keras.LiquidRNN(cell, return_sequences=True), readout])
    model.build((None, None, 3))  # then train it, or load its weights
    online = lnn_keras.adapt.OnlineDynamics(cell)
    state = online.initial_state()
    for x, target in zip(keras.random.normal((9, 3)), keras.random.normal((9, 1))):
        output, state = online.advance(x, state)
        residual = readout(output) - target
        upstream = keras.ops.matmul(residual, keras.ops.transpose(readout.kernel))
        state = online.learn(upstream, state, error=keras.ops.mean(residual**2))
    print(online.log(state))
    online.assign(state)
    ```

    References: Williams and Zipser, A learning algorithm for continually running fully recurrent
    neural networks, Neural Computation 1989 (real-time recurrent learning); Bellec et al., A
    solution to the learning dilemma for recurrent networks of spiking neurons, Nature
    Communications 2020 (e-prop); Zucchet et al., Online learning of long-range dependencies,
    NeurIPS 2023, arXiv 2305.15947 (independent recurrent units).
    """

    def __init__(
        self,
        cell: Any,
        learning_rate: float = 1e-3,
        method: str = "rmsprop",
        trust_region: float = 0.5,
        largest_step: float = 0.01,
        return_above: float = 2.0,
        horizon: int = 100,
    ):
        self.cell = require_cell(cell)
        self.learning_rate = require_limit("learning_rate", learning_rate, 0, inclusive=True)
        self.method = require_choice("method", method, descent.METHODS)
        self.trust_region = require_limit("trust_region", trust_region, 0)
        self.largest_step = require_limit("largest_step", largest_step, 0)
        self.return_above = require_limit("return_above", return_above, 1, finite=False)
        self.horizon = require_at_least(10, "horizon", horizon)
        self._step = LocalStep(cell)
        self.variables: list[Any] = [cell.weights[index] for index in self._step.indices]
        self._trained = [
            ops.convert_to_numpy(variable).astype(self._step.dtype) for variable in self.variables
        ]
        self._guard = GuardRails(
            self._trained,
            [variable.constraint for variable in self.variables],
            self.trust_region,
            self.largest_step,
            self.return_above,
            self.horizon,
        )
        # The shapes of states, and a checksum of the weights that they belong to.
        self._fingerprint = fingerprint(cell)

    def initial_state(self) -> OnlineState:
        """The state before the first step: the cell's initial state and its trained weights."""
        parameters = tuple(
            ops.convert_to_tensor(weight, self._step.dtype) for weight in self._trained
        )
        return OnlineState(
            h=ops.cast(self.cell.get_initial_state(1)[0], self._step.dtype),
            traces=tuple(ops.zeros_like(parameter) for parameter in parameters),
            parameters=parameters,
            squares=descent.initial_squares(self.method, parameters),
            guard=self._guard.initial_state(),
            gaps=ops.zeros((), "int32"),
            fingerprint=ops.convert_to_tensor(np.int32(self._fingerprint)),
        )

    def advance(
        self, inputs: Tensor, state: OnlineState, elapsed: float | Tensor | None = None
    ) -> tuple[Tensor, OnlineState]:
        """One step of the cell with the adapted parameters, and of the traces.

        Args:
            inputs: (features,) or (1, features); as for the cell, with the elapsed time as one more
                feature if the cell has elapsed="last_feature".
            state: The state.
            elapsed: Optional elapsed time that replaces the cell's own: a number or one element.

        Returns:
            The output (1, output_size), and the new state.

        Raises:
            ValueError: `inputs` have another width, `elapsed` is invalid, or the state belongs to
                another cell.
        """
        self._require_own(state)
        features, elapsed = self._inputs(inputs, elapsed)
        elapsed, valid = elapsed_time.refuse_invalid(elapsed, self._step.dtype)
        given = all_finite([features])
        given = given if valid is None else ops.logical_and(given, ops.all(valid))
        features = ops.where(given, features, 0.0)
        h, slopes, immediate = self._step(state.parameters, features, state.h, elapsed)
        traces = [
            slope * trace + derivative
            for slope, trace, derivative in zip(
                self._step.spread(slopes), state.traces, immediate, strict=True
            )
        ]
        traces = [ops.where(ops.isfinite(trace), trace, 0.0) for trace in traces]
        output = ops.where(given, self._step.read_out(state.parameters, h), float("nan"))
        state = state._replace(
            h=ops.where(given, h, state.h),
            traces=tuple(
                ops.where(given, *pair) for pair in zip(traces, state.traces, strict=True)
            ),
            gaps=state.gaps + ops.cast(ops.logical_not(given), "int32"),
        )
        return ops.cast(output, self.cell.compute_dtype), state

    def gradients(self, upstream: Tensor, state: OnlineState) -> tuple[Tensor, ...]:
        """The gradients of the loss of the last step for the adapted parameters.

        Args:
            upstream: dL/dy, the gradient for the output: (output_size,) or (1, output_size).
            state: The state after `advance`.

        Raises:
            ValueError: `upstream` has another width, or the state belongs to another cell.
        """
        self._require_own(state)
        upstream = ops.stop_gradient(one_row("upstream", upstream, self.cell.output_size))
        signal, direct = self._step.pull_back(
            state.parameters, state.h, ops.cast(upstream, self._step.dtype)
        )
        return tuple(
            part + of_neuron * trace
            for part, of_neuron, trace in zip(
                direct, self._step.spread(signal), state.traces, strict=True
            )
        )

    def learn(
        self, upstream: Tensor, state: OnlineState, error: float | Tensor | None = None
    ) -> OnlineState:
        """One step of the adapted parameters, if the gradient is finite, within the guard rails.

        Args:
            upstream: dL/dy, the gradient of the loss of this step for the output of `advance`:
                (output_size,) or (1, output_size). Where it is not finite, nothing is learned.
            state: The state after `advance`.
            error: Optional error of the prediction of this step, at least 0, whose growth makes
                the parameters return towards the trained weights. NaN does not count.

        Returns:
            The new state.

        Raises:
            ValueError: `upstream` has another width, or the state belongs to another cell.
        """
        gradients = self.gradients(upstream, state)
        usable = all_finite(gradients)
        gradients = [ops.where(usable, gradient, 0.0) for gradient in gradients]
        steps, squares, shortened = descent.descend(
            gradients, state.squares, state.guard.learned, self.learning_rate
        )
        squares = tuple(
            ops.where(usable, *pair) for pair in zip(squares, state.squares, strict=True)
        )
        parameters, guard = self._guard.step(
            steps, usable, shortened, state.parameters, state.guard
        )
        if error is not None:
            parameters, guard = self._guard.watch(error, parameters, guard)
        return state._replace(parameters=parameters, squares=squares, guard=guard)

    def log(self, state: OnlineState) -> dict[str, int | float]:
        """The counts of the guard rails and the running errors, as plain numbers.

        Returns:
            "learned", "skipped", "clipped", "projected", "returned" and "gaps": numbers of steps;
            "fast_error" and "slow_error": the running means; "distance": the largest relative
            distance of a weight tensor from the trained one.
        """
        self._require_own(state)
        guard = {name: ops.convert_to_numpy(v).item() for name, v in state.guard._asdict().items()}
        counts = ("learned", "skipped", "clipped", "projected", "returned")
        return {
            **{name: guard[name] for name in counts},
            "gaps": ops.convert_to_numpy(state.gaps).item(),
            "fast_error": guard["fast"],
            "slow_error": guard["slow"],
            "distance": self._guard.distance(state.parameters),
        }

    def adapted_weights(self, state: OnlineState) -> list[np.ndarray]:
        """All weights of the cell with the adapted values, in the order of `cell.weights`."""
        self._require_own(state)
        return [ops.convert_to_numpy(weight) for weight in self._step.weights(state.parameters)]

    def assign(self, state: OnlineState) -> None:
        """Write the adapted weights to the cell. The trust region stays where it is."""
        self.cell.set_weights(self.adapted_weights(state))

    def _inputs(self, inputs, elapsed):
        """The features (1, features), and the elapsed time as a number or (1, 1)."""
        timed = self.cell.elapsed == elapsed_time.LAST_FEATURE
        inputs = one_row("inputs", inputs, self._step.features + timed)
        features, elapsed = self.cell.separate_elapsed(inputs, elapsed)
        if hasattr(elapsed, "shape"):
            elapsed = ops.reshape(elapsed, (1, 1))
        return ops.stop_gradient(bounded(features, self.cell.compute_dtype)), elapsed

    def _require_own(self, state):
        require_state(state, self._step.shapes, self._fingerprint, self.cell.name)
