"""CellStep: one step of a cell as a function of its inputs, its states and its parameters."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from lnn_keras.autodiff.functional import pure, weights_of
from lnn_keras.cells.continuous_time import step_dtype
from lnn_keras.compat import weights_as
from lnn_keras.layers.step_inputs import StepInputs
from lnn_keras.solvers.mobius import Mobius
from lnn_keras.tensors import Tensor, ops


def accepts(function: Callable, argument: str) -> bool:
    """Whether a function can be called with a keyword argument."""
    parameters = inspect.signature(function).parameters
    return argument in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )


def with_training(method: Callable, training: bool) -> Callable:
    """A method with `training` bound, if it has this argument."""
    return functools.partial(method, training=training) if accepts(method, "training") else method


class CellStep:
    """Projects the inputs of a cell, and advances its states by one step.

    In half precision the inputs are projected in half precision, and all else is computed in
    float32 (`step_dtype`).

    Args:
        cell: The cell.
        constants: Tensors from `cell.constants`, computed once per sequence.
        elapsed: The elapsed time of all steps, or None if `StepInputs.elapsed` holds it.
        training: The `training` argument of the layer's call.
        recomputed: Whether the gradient recomputes the step. The cell's weights are then
            parameters, so that the step is a pure function.

    Attributes:
        parameters: Tensors that all steps share: the weights if `recomputed`, and the constants.
        batch_last: Whether the step reads and returns tensors (size, batch).
    """

    def __init__(
        self,
        cell: Any,
        constants: list[Tensor],
        elapsed: float | None,
        training: bool,
        recomputed: bool,
    ):
        self._cell, self._elapsed = cell, elapsed
        self.batch_last = bool(constants) and hasattr(cell, "advance_batch_last")
        self._dtype = step_dtype(cell)
        self._method = with_training(
            cell.advance_batch_last if self.batch_last else cell.advance, training
        )
        with weights_as(self._dtype):
            self._advance = pure(cell, self._advance_with_constants)
        with weights_as(cell.compute_dtype):
            self._project = pure(cell, with_training(cell.project, training))
        with weights_as(None):
            weights = weights_of(cell) if recomputed else []
        # Their gradients are sums over all steps, which need the precision of the weights.
        constants = [ops.cast(constant, cell.variable_dtype) for constant in constants]
        self.parameters, self._weight_count = [*weights, *constants], len(weights)

    def project(self, inputs: StepInputs, parameters: list[Tensor] | None = None) -> StepInputs:
        """Replace the features by their projection."""
        parameters = self.parameters if parameters is None else parameters
        features = ops.cast(inputs.features, self._cell.compute_dtype)
        projected = self._project(parameters[: self._weight_count], features)
        return inputs._replace(features=ops.cast(projected, self._dtype))

    def __call__(
        self, inputs: StepInputs, states: list[Tensor], parameters: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Advance the states: -> (output, new states)."""
        weights, constants = parameters[: self._weight_count], parameters[self._weight_count :]
        if inputs.elapsed is None:
            return self._advance(weights, inputs.features, states, constants)
        return self._advance(weights, inputs.features, states, constants, inputs.elapsed)

    def _advance_with_constants(self, projected, states, constants, elapsed=None):
        elapsed = self._elapsed if elapsed is None else elapsed
        if not constants:
            return self._method(projected, states, elapsed)
        constants = [ops.cast(constant, self._dtype) for constant in constants]
        return self._method(projected, states, elapsed, constants=constants)

    def maps(self, inputs: StepInputs, parameters: list[Tensor]) -> Mobius:
        """The maps from the states before the steps to those after, of a cell with `step_map`."""
        elapsed = self._elapsed if inputs.elapsed is None else inputs.elapsed
        constants = [ops.cast(constant, self._dtype) for constant in parameters]
        return self._cell.step_map(inputs.features, elapsed, constants)

    def within_bounds(self, h: Tensor) -> Tensor:
        """An initial state of a cell with `step_map`, within the bounds of its states."""
        with weights_as(self._dtype):
            return self._cell.within_bounds(h)

    def read_out(self, h: Tensor) -> Tensor:
        """The output of a cell with one state, from the state after the step."""
        with weights_as(self._dtype):
            return self._cell.read_out(h)

    def zero_output(self, inputs: StepInputs) -> Tensor:
        """The output before the first step (batch, output_size)."""
        features = inputs.features
        return ops.zeros((ops.shape(features)[0], self._cell.output_size), features.dtype)


class OutputAsState:
    """A step whose first state is its last output, which masked steps repeat.

    Args:
        step: The step of the cell, a `CellStep` or another function of the same arguments.
    """

    def __init__(self, step: Callable):
        self._step = step

    def __call__(
        self, inputs: StepInputs, states: list[Tensor], parameters: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Advance the states: -> (output, [output, *new states of the cell])."""
        output, new = self._step(inputs, states[1:], parameters)
        new = keep_masked(inputs.mask, [output, *new], states)
        return new[0], new


def keep_masked(mask: Tensor | None, new: list[Tensor], old: list[Tensor]) -> list[Tensor]:
    """The new states, or the old ones where the step is masked."""
    if mask is None:
        return new
    return [ops.where(mask > 0, *pair) for pair in zip(new, old, strict=True)]
