"""Eligibility traces: derivatives of a cell's state that are carried forwards in time.

Each adapted parameter theta of a cell belongs to one neuron j, its target. Its trace follows

    trace <- (dh'_j/dh_j) trace + dh'_j/dtheta

where h' = F(h, x; theta) is a step of the cell. Where no neuron sees another one within the cell,
this is exact real-time recurrent learning. Elsewhere it keeps the diagonal of the Jacobian dh'/dh
only, as e-prop does: a step is then differentiated with the potentials of the other neurons held
constant at every step of the solver.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lnn_keras.autodiff.functional import pure
from lnn_keras.autodiff.vjp import value_and_vjp, vjp
from lnn_keras.cells import DiagonalLiquidCell, LiquidCell, LTCCell
from lnn_keras.cells.continuous_time import step_dtype
from lnn_keras.compat import weights_as
from lnn_keras.solvers import solve
from lnn_keras.tensors import Tensor, ops

# The parameters that belong to one neuron each, in the order of `cell.weights`, by type of cell.
PARAMETERS = {
    DiagonalLiquidCell: ("kernel", "bias", "log_tau", "log_reversal"),
    LiquidCell: ("kernel", "recurrent_kernel", "bias", "log_tau", "reversal"),
    LTCCell: (
        *("output_scale", "output_bias", "leak", "leak_reversal", "log_capacitance"),
        *("sensory_weight", "sensory_sigma", "sensory_mu", "sensory_reversal"),
        *("weight", "sigma", "mu", "reversal"),
    ),
}


class LocalStep:
    """A step of a cell, with derivatives that stay within each neuron.

    Args:
        cell: A built cell of a type in `PARAMETERS`.

    Attributes:
        dtype: The dtype of states and traces.
        indices: Positions of the adapted parameters in `cell.weights`.
        owners: For each adapted parameter, the neuron of each entry of its last axis.
        features: Number of data features of the inputs.
        shapes: The shapes of the cell's state and of the adapted parameters.
    """

    def __init__(self, cell: Any):
        self._cell = cell
        self.dtype = step_dtype(cell)
        names = [weight.name for weight in cell.weights]
        self.indices = [names.index(name) for name in PARAMETERS[type(cell)] if name in names]
        self._fixed = {
            index: ops.convert_to_numpy(weight).astype(self.dtype)
            for index, weight in enumerate(cell.weights)
            if index not in self.indices
        }
        self.features = cell.weights[0].shape[0]
        self.shapes = [(1, cell.units)] + [tuple(cell.weights[i].shape) for i in self.indices]
        self._own_input = _OWN_INPUTS[type(cell)](cell)
        synapses = _targets(cell) if type(cell) is LTCCell else {}
        units = np.arange(cell.units, dtype="int32")
        self.owners = [
            synapses[name] if name in synapses else np.resize(units, cell.weights[index].shape[-1])
            for index, name in ((index, names[index]) for index in self.indices)
        ]
        with weights_as(cell.compute_dtype):
            self._project = pure(cell, cell.project)
        with weights_as(self.dtype):
            self._advance = pure(cell, self._advance_locally)
            self._read_out = pure(cell, getattr(cell, "read_out", lambda h: h))

    def __call__(
        self, parameters: Sequence[Tensor], features: Tensor, h: Tensor, elapsed: float | Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The state after a step, that of the cell with these parameters, and its derivatives.

        A column of the parameters belongs to one neuron, so the gradient of the sum of all h'
        holds the derivatives of every neuron: one vector-Jacobian product.

        Args:
            parameters: Values of the adapted parameters.
            features: Tensor (1, features).
            h: The state before the step (1, units).
            elapsed: Elapsed time, a number or (1, 1).

        Returns:
            h' (1, units), dh'_j/dh_j of each neuron (1, units), and dh'_j/dtheta of each parameter.
        """

        def step(h, *parameters):
            weights = self.weights(parameters)
            projected = self._project(weights, ops.cast(features, self._cell.compute_dtype))
            return [self._advance(weights, ops.cast(projected, self.dtype), h, elapsed)]

        (new,), gradients = value_and_vjp(step, [h, *parameters], [ops.ones_like(h)])
        # torch would keep the graphs of all steps of the stream.
        new, slopes, *immediate = [ops.stop_gradient(tensor) for tensor in (new, *gradients)]
        return new, slopes, immediate

    def read_out(self, parameters: Sequence[Tensor], h: Tensor) -> Tensor:
        """The output (1, output_size) of a state."""
        return self._read_out(self.weights(parameters), h)

    def pull_back(
        self, parameters: Sequence[Tensor], h: Tensor, upstream: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """The gradients for the state and the parameters of a loss with this output's gradient."""

        def read_out(h, *parameters):
            return [self.read_out(parameters, h)]

        gradients = vjp(read_out, [h, *parameters], [upstream])
        signal, *direct = [ops.stop_gradient(gradient) for gradient in gradients]
        return signal, direct

    def spread(self, values: Tensor) -> list[Tensor]:
        """Values of the neurons (1, units), for the last axis of each parameter."""
        return [ops.take(values[0], owner, axis=0) for owner in self.owners]

    def weights(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """All weights of the cell, in its order, with these values of the adapted parameters."""
        weights = [self._fixed.get(index) for index in range(len(self._cell.weights))]
        for index, parameter in zip(self.indices, parameters, strict=True):
            weights[index] = parameter
        return [ops.convert_to_tensor(weight, self.dtype) for weight in weights]

    def _advance_locally(self, projected, h, elapsed):
        cell = self._cell
        if type(cell) is DiagonalLiquidCell:
            return cell.advance(projected, h, elapsed)[1][0]
        constants = () if type(cell) is LTCCell else cell.constants()

        def increments(h, delta):
            # The equations see h through synapses only; the solver adds the neuron's own leak.
            others = ops.stop_gradient(h)
            own = self._own_input(h, others)
            return cell.increments(projected + own, others, delta, *constants)

        return solve(cell._method, increments, h, elapsed)


def _own_input_of_dense(cell: LiquidCell) -> Callable:
    """A neuron's input from itself: 0 in value, with the derivative of the gate's argument."""

    def own_input(h, others):
        return ops.stop_gradient(ops.diagonal(cell.recurrent_kernel)) * (h - others)

    return own_input


def _own_input_of_synapses(cell: LTCCell) -> Callable:
    """The currents of synapses from a neuron to itself: 0 in value, with their derivative."""
    sources, targets = np.nonzero(_recurrent_matrix(cell))
    loops = np.flatnonzero(sources == targets).astype("int32")
    neurons = targets[loops].astype("int32")
    # One-hot (loops, units): their product puts each synapse to its neuron.
    places = np.eye(cell.units, dtype="float32")[neurons]
    if not loops.size:
        return lambda h, others: 0.0

    def currents(v, weight, sigma, mu, reversal):
        conductance = weight * ops.sigmoid(sigma * (ops.take(v, neurons, axis=-1) - mu))
        both = ops.stack([conductance * reversal, conductance], axis=-2)
        sums = ops.matmul(both, ops.cast(places, both.dtype))
        return ops.reshape(sums, (1, 2 * cell.units))

    def own_input(h, others):
        synapses = cell.recurrent
        weights = (synapses.weight, synapses.sigma, synapses.mu, synapses.reversal)
        constants = [ops.take(ops.stop_gradient(weight.value), loops) for weight in weights]
        return currents(h, *constants) - currents(others, *constants)

    return own_input


_OWN_INPUTS = {
    DiagonalLiquidCell: lambda cell: None,
    LiquidCell: _own_input_of_dense,
    LTCCell: _own_input_of_synapses,
}


def _targets(cell: LTCCell) -> dict[str, np.ndarray]:
    """The target neuron of each synapse, by the name of the parameter."""
    matrices = {"sensory_": _connections(cell).sensory, "": _recurrent_matrix(cell)}
    return {
        prefix + name: np.nonzero(matrix)[1].astype("int32")
        for prefix, matrix in matrices.items()
        for name in ("weight", "sigma", "mu", "reversal")
    }


def _connections(cell: LTCCell) -> Any:
    return cell.wiring.connect(cell.input_scale.shape[0])


def _recurrent_matrix(cell: LTCCell) -> np.ndarray:
    return _connections(cell).recurrent
