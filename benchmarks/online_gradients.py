"""Gradients of online learning against backpropagation through time, and their cost (JAX).

python -m benchmarks.online_gradients                 prints a Markdown table
python -m benchmarks.online_gradients --units 32 --steps 1000

The traces of `lnn_keras.adapt.OnlineDynamics` are exact for DiagonalLiquidCell (real-time recurrent
learning) and keep the diagonal of the state's Jacobian for LiquidCell and LTCCell (e-prop). The
reference is the gradient of backpropagation through all steps of a stream, of which truncated
backpropagation takes the last 10 or 100 at each step. The task is to predict the next values of
three sines with noise at irregular times, by a cell and a dense readout, freshly initialised and
after a training. Cosine and relative error compare the gradients of all parameters that
OnlineDynamics adapts.

Operations are those of XLA's cost analysis for one step of the stream. Bytes are those of the
float32 numbers that must be kept from one step to the next: parameters, states and traces, or the
inputs and the states of the last steps. Truncated backpropagation computes a gradient at every
step, as the others do.
"""

import functools
import os
from typing import Any, NamedTuple

import numpy as np

from benchmarks.arguments import argument_parser
from benchmarks.markdown import table_header, table_row

FEATURES, WINDOWS = 3, (10, 100)


class Stream(NamedTuple):
    """Inputs (time, features), elapsed times (time, 1) and the next values (time, features)."""

    x: np.ndarray
    elapsed: np.ndarray
    targets: np.ndarray


def sines(steps: int, seed: int) -> Stream:
    """Sines with noise, observed at irregular times."""
    random = np.random.default_rng(seed)
    elapsed = random.uniform(0.2, 1.8, (steps + 1, 1))
    times = np.cumsum(elapsed)[:, None]
    phases = random.uniform(0, 2 * np.pi, FEATURES)
    values = np.sin(times * np.array([0.3, 0.7, 1.1]) + phases)
    values += 0.2 * random.standard_normal(values.shape)
    arrays = (values[:-1], elapsed[:-1], values[1:])
    return Stream(*(array.astype("float32") for array in arrays))


class Model:
    """A cell with a dense readout on JAX, and the gradients of its squared error.

    Args:
        cell: The cell.
    """

    def __init__(self, cell: Any):
        import keras

        import lnn_keras

        self.cell = cell
        self.layer = lnn_keras.LiquidRNN(cell, return_sequences=True)
        self.readout = keras.layers.Dense(FEATURES)
        self.layer(np.zeros((1, 2, FEATURES), "float32"))
        self.readout(np.zeros((1, 2, cell.output_size), "float32"))

    @functools.cached_property
    def online(self) -> Any:
        """Online learning of the present weights."""
        import lnn_keras

        return lnn_keras.adapt.OnlineDynamics(self.cell, 0.0, method="sgd")

    def train(self, steps: int, epochs: int) -> None:
        """Train both on other streams, by backpropagation through time."""
        import keras

        x = keras.Input((steps, FEATURES))
        elapsed = keras.Input((steps, 1))
        model = keras.Model([x, elapsed], self.readout(self.layer(x, elapsed=elapsed)))
        model.compile(keras.optimizers.Adam(3e-3), "mse")
        parts = zip(*(sines(steps, 100 + seed) for seed in range(16)), strict=True)
        xs, times, targets = (np.stack(part) for part in parts)
        # A new one, with the trained weights.
        self.__dict__.pop("online", None)
        model.fit([xs, times], targets, batch_size=4, epochs=epochs, verbose=0)

    def upstream(self, output: Any, targets: Any) -> Any:
        """The gradient of the squared error for outputs of the cell."""
        kernel, bias = (weight.value for weight in self.readout.weights)
        return 2 * (output @ kernel + bias - targets) @ kernel.T

    def online_gradient(self, stream: Stream) -> list:
        """The sum of the gradients of OnlineDynamics, with constant parameters."""
        import jax

        def step(carry, now):
            state, sums = carry
            x, elapsed, targets = now
            output, state = self.online.advance(x, state, elapsed)
            gradients = self.online.gradients(self.upstream(output, targets), state)
            return (state, [s + g for s, g in zip(sums, gradients, strict=True)]), state.h[0]

        state = self.online.initial_state()
        start = (state, [0 * parameter for parameter in state.parameters])
        (_, sums), self.states = jax.jit(lambda stream: jax.lax.scan(step, start, stream))(stream)
        return sums

    def window_gradient(self, stream: Stream, length: int) -> list:
        """The sum over t of the gradients of the error at t for the last `length` steps.

        All windows are one batch. A step of elapsed time 0 changes nothing: it stands before the
        first one.
        """
        steps = len(stream.x)
        offsets = np.arange(steps)[:, None] - np.arange(length - 1, -1, -1)
        before = offsets < 0
        offsets = np.maximum(offsets, 0)
        elapsed = np.where(before[..., None], 0, stream.elapsed[offsets])
        states = np.concatenate([np.zeros((1, self.cell.units)), np.asarray(self.states)])
        start = states[np.maximum(np.arange(steps) - length + 1, 0)].astype("float32")
        arguments = stream.x[offsets], elapsed.astype("float32"), start

        def loss(outputs):
            errors = self.readout(outputs[:, -1]) - stream.targets
            return (errors**2).sum()

        return self._gradient(loss, *arguments)

    def full_gradient(self, stream: Stream) -> list:
        """The gradient of backpropagation through all steps."""
        start = np.zeros((1, self.cell.units), "float32")

        def loss(outputs):
            return ((self.readout(outputs[0]) - stream.targets) ** 2).sum()

        return self._gradient(loss, stream.x[None], stream.elapsed[None], start)

    def _gradient(self, loss, x, elapsed, start):
        import jax
        import keras

        weights = self.online.variables

        def of_weights(values):
            with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
                return loss(self.layer(x, elapsed=elapsed, initial_state=[start]))

        return jax.jit(jax.grad(of_weights))([weight.value for weight in weights])

    def operations(self) -> dict[str, float]:
        """Operations of one step: of inference, of online learning, and forwards and backwards."""
        import jax

        from lnn_keras.autodiff.functional import pure, weights_of
        from lnn_keras.autodiff.vjp import value_and_vjp

        x, elapsed = np.zeros((1, FEATURES), "float32"), np.ones((1, 1), "float32")
        state, upstream = self.online.initial_state(), np.ones((1, self.cell.output_size), "f4")

        def inference(weights, h):
            return pure(self.cell, self.cell.call)(weights, x, [h], elapsed)[0]

        def backwards(weights, h):
            return value_and_vjp(lambda *a: [inference(a[1:], a[0])], [h, *weights], [upstream])

        def online(state):
            return self.online.learn(upstream, self.online.advance(x, state, elapsed)[1])

        weights = weights_of(self.cell)
        return {
            "inference": _operations(jax.jit(inference), weights, state.h),
            "backwards": _operations(jax.jit(backwards), weights, state.h),
            "online": _operations(jax.jit(online), state),
        }

    def kept_numbers(self, method: str, window: int = 0) -> int:
        """The numbers that a method keeps from one step to the next."""
        state, units = self.online.initial_state(), self.cell.units
        parameters = sum(np.size(weight) for weight in self.cell.get_weights())
        traces = sum(np.size(trace) for trace in state.traces) if method == "online" else 0
        return parameters + traces + units + window * (units + FEATURES + 1)


def _operations(function, *arguments):
    cost = function.lower(*arguments).compile().cost_analysis()
    cost = cost[0] if isinstance(cost, list) else cost
    return cost["flops"] + cost.get("transcendentals", 0.0)


def compare(actual: list, expected: list) -> str:
    """The cosine and the relative error of a gradient, as one cell of the table."""
    a, e = (np.concatenate([np.ravel(part) for part in parts]) for parts in (actual, expected))
    cosine = a @ e / np.linalg.norm(a) / np.linalg.norm(e)
    return f"{cosine:.3f}, {np.linalg.norm(a - e) / np.linalg.norm(e):.2g}"


def measure(name: str, cell: Any, kind: str, steps: int, epochs: int) -> list[str]:
    """The rows of one cell."""
    model, stream = Model(cell), sines(steps, 0)
    cells = {kind: []} | {f"truncated to {window}": [] for window in WINDOWS}
    for trained in (False, True):
        if trained:
            model.train(steps, epochs)
        online = model.online_gradient(stream)
        full = model.full_gradient(stream)
        cells[kind].append(compare(online, full))
        for window in WINDOWS:
            gradient = model.window_gradient(stream, window)
            cells[f"truncated to {window}"].append(compare(gradient, full))
    costs = model.operations()
    rows = [(kind, costs["online"], model.kept_numbers("online"))]
    rows += [
        (f"truncated to {w}", w * costs["backwards"], model.kept_numbers("truncated", w))
        for w in WINDOWS
    ]
    inference = model.kept_numbers("inference")
    table = [
        table_row(name, "inference", "", "", f"{costs['inference']:,.0f}", f"{4 * inference:,}")
    ]
    for method, operations, numbers in rows:
        table.append(
            table_row("", method, *cells[method], f"{operations:,.0f}", f"{4 * numbers:,}")
        )
    return table


def main() -> None:
    """Print the table."""
    parser = argument_parser(__doc__)
    parser.add_argument("--units", type=int, default=16)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    import lnn_keras

    keras.utils.set_random_seed(0)
    units = arguments.units
    # Gates that are almost closed, and long time constants: neurons with a long memory.
    slow = lnn_keras.DiagonalLiquidCell(
        units,
        bias_initializer=keras.initializers.RandomUniform(-7, -5),
        tau_initializer=keras.initializers.RandomUniform(50, 200),
    )
    models = (
        (f"DiagonalLiquidCell({units})", lnn_keras.DiagonalLiquidCell(units), "exact traces"),
        (f"DiagonalLiquidCell({units}), slow", slow, "exact traces"),
        (f"LiquidCell({units})", lnn_keras.LiquidCell(units), "e-prop"),
        (f"LTCCell({units})", lnn_keras.LTCCell(units), "e-prop"),
    )
    titles = ("cosine, relative error", "after training", "operations a step", "bytes")
    print("\n".join(table_header("model", "method", *titles)))
    for name, cell, kind in models:
        rows = measure(name, cell, kind, arguments.steps, arguments.epochs)
        print("\n".join(rows), flush=True)


if __name__ == "__main__":
    main()
