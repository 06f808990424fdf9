"""LiquidRNN: an RNN layer for liquid cells that projects whole sequences and scans the rest."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras

from lnn_keras import elapsed as elapsed_time
from lnn_keras.argument_checks import require_at_least
from lnn_keras.cells.continuous_time import bounded, step_dtype
from lnn_keras.compat import (
    DropoutRNNCell,
    dropout_seed_states,
    has_accelerator,
    weights_as,
)
from lnn_keras.layers.cell_step import CellStep, accepts
from lnn_keras.layers.chunked_scan import chunked_scan
from lnn_keras.layers.full_scan import full_scan
from lnn_keras.layers.mobius_recurrence import in_blocks, step_by_step
from lnn_keras.layers.mobius_scan import mobius_scan
from lnn_keras.layers.newton_scan import newton_scan
from lnn_keras.layers.parallel_method import AUTO, SCAN, has_maps, portable, require_supported
from lnn_keras.layers.remat_scan import remat_scan
from lnn_keras.layers.step_inputs import StepInputs
from lnn_keras.tensors import Tensor, ops

# Arguments of `keras.layers.RNN` that a copy with another cell takes over.
RNN_OPTIONS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
)


@keras.saving.register_keras_serializable(package="lnn_keras")
class LiquidRNN(keras.layers.RNN):
    """`keras.layers.RNN` for liquid cells: faster, and with elapsed time as a call argument.

    It calls `cell.project` once on the whole sequence and scans `cell.advance`. The results equal
    those of `keras.layers.RNN(cell)`, with fewer and larger operations. By default the gradient
    recomputes solver steps instead of storing their intermediate values (rematerialization).

    With `go_backwards` each step takes the elapsed time of the gap behind it
    (`lnn_keras.elapsed.backwards`): the results are those of the reversed series.
    `keras.layers.RNN` cannot do so, since it hides its direction from the cell.
    `lnn_keras.Bidirectional` takes `elapsed` for both directions.

    The cell computes in its own dtype policy, and the layer returns results in the layer's. In
    half precision, `cell.project` computes in it; elapsed times, states and `cell.advance` are
    float32.

    Args:
        cell: A cell of `lnn_keras`, or an RNN cell with the methods `project`, `advance` and
            `separate_elapsed` of `lnn_keras.ContinuousTimeCell`.
        remat: Checkpoint the states every `remat` steps and recompute the steps between in the
            gradient. Memory is least at about the square root of the length. None stores all
            intermediate values, as `keras.layers.RNN` does. "auto" takes 1 for cells with solver
            steps and None for others, whichever is faster. For a DiagonalLiquidCell every value but
            None recomputes the maps of its steps. A cell with non-trainable variables is
            never recomputed, since its steps may write to them. Derivatives of every order are
            those of a plain scan; on JAX also in forward mode.
        parallel: None for one step after the other. "scan" computes all steps of a
            DiagonalLiquidCell at once, exactly (`lnn_keras.layers.mobius_recurrence`). "auto" does
            so where Keras has an accelerator; on processors, and for other cells, it takes the
            loop. On JAX also "newton" or "quasi_newton": all steps at once, iterated until the
            states are those of the loop (`lnn_keras.layers.parallel_scan`). They take cells with
            one state and `read_out`, for instance LiquidCell and CfCCell. On a GPU they can be
            many times faster than the loop, on processors they are slower (docs/parallel.md).
        **kwargs: Arguments of `keras.layers.RNN`: return_sequences, return_state, go_backwards,
            stateful, unroll, zero_output_for_mask; and `dtype`, by default that of the cell.

    Call arguments:
        sequences: (batch, time, features); integers are taken as floats. Finite values beyond
            1e15, in float16 beyond 1e4, count as these.
        initial_state: Optional list of states (batch, size).
        mask: Optional booleans (batch, time). A masked step keeps the states.
        training: Whether dropout is active; passed to the cell.
        elapsed: Optional elapsed times (batch, time) or (batch, time, 1), or one number for all
            steps. Keyword only. By default the cell's own. Times beyond 1e15 count as 1e15.

    Raises:
        ValueError: `cell` lacks `project` or `advance`, `sequences` have other features than the
            layer was built for, `elapsed` has another shape or a value that is negative or not
            finite, `remat` is not one of the values above, the backend or the cell does not support
            `parallel`, or there is no time step. In a compiled graph, which cannot raise, the
            outputs are NaN from the step with an invalid elapsed time on; it counts as 0, so that
            the states stay finite.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(32), return_sequences=True)
    outputs = layer(x, elapsed=elapsed)    # (batch, time, 32)
    ```
    """

    def __init__(
        self, cell: Any, remat: int | str | None = "auto", parallel: str | None = None, **kwargs
    ):
        missing = [name for name in ("project", "advance") if not hasattr(cell, name)]
        if missing:
            raise ValueError(
                f"LiquidRNN needs a cell with `project` and `advance`; {type(cell).__name__} lacks "
                f"{' and '.join(missing)}. Use keras.layers.RNN for other cells."
            )
        kwargs.setdefault("dtype", cell.dtype_policy)
        super().__init__(cell, **kwargs)
        self.remat = _checked_remat(remat)
        self.parallel = require_supported(parallel, self)

    @property
    def input_dtype(self) -> str:
        """The dtype of inputs before they are projected: elapsed times need float32."""
        return step_dtype(self.cell)

    def build(
        self,
        sequences_shape: Sequence[int | None],
        initial_state_shape: Any = None,
        *,
        elapsed_shape: Any = None,
    ) -> None:
        self._features: Any = sequences_shape[-1]
        super().build(sequences_shape, initial_state_shape)

    def compute_output_shape(
        self,
        sequences_shape: Sequence[int | None],
        initial_state_shape: Any = None,
        *,
        elapsed_shape: Any = None,
    ) -> Any:
        return super().compute_output_shape(sequences_shape, initial_state_shape)

    def call(
        self,
        sequences: Tensor,
        initial_state: Any = None,
        mask: Tensor | None = None,
        training: bool = False,
        *,
        elapsed: Tensor | float | None = None,
    ) -> Any:
        if sequences.shape[1] == 0:
            raise ValueError(
                f"LiquidRNN {self.name!r} needs at least one time step; received sequences of "
                f"shape {tuple(sequences.shape)}."
            )
        self._require_features(sequences)
        # Integers are not converted by `Layer.__call__`.
        sequences = ops.cast(sequences, self.input_dtype)
        if elapsed is not None:
            # `keras.layers.RNN.call` hands one tensor to `inner_loop`, which separates them again.
            sequences = elapsed_time.append(sequences, elapsed)
        return super().call(sequences, initial_state=initial_state, mask=mask, training=training)

    def _require_features(self, sequences: Tensor) -> None:
        """Refuse other features than those of `build`: one more would count as elapsed times."""
        expected = self._features + elapsed_time.are_appended()
        if sequences.shape[-1] != expected:
            raise ValueError(
                f"LiquidRNN {self.name!r} was built for {self._features} features; received "
                f"sequences of shape {tuple(sequences.shape)}. Pass elapsed times as `elapsed`."
            )

    def inner_loop(
        self,
        sequences: Tensor,
        initial_state: list[Tensor],
        mask: Tensor | None,
        training: bool = False,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        inputs, elapsed, valid = self.separate_inputs(sequences, mask)
        dtype = step_dtype(self.cell)
        states = [ops.cast(state, dtype) for state in initial_state]
        recurrent_mask = None
        if training and isinstance(self.cell, DropoutRNNCell):
            # Drawn by `keras.layers.RNN.call`, for all steps of this call.
            inputs = _with_dropout(inputs, self.cell.get_dropout_mask(sequences[:, 0]))
            recurrent_mask = self.cell.get_recurrent_dropout_mask(states[0])
        if self.go_backwards:
            inputs = inputs.map(lambda tensor: ops.flip(tensor, axis=1))
        with weights_as(dtype):
            constants = self._constants(elapsed, recurrent_mask)
        recomputed = self._recomputes()
        step = CellStep(self.cell, constants, elapsed, training, recomputed)
        outputs, last_output, states = self._driver(recomputed)(step, inputs, states, self.unroll)
        if inputs.mask is not None and self.zero_output_for_mask:
            outputs, last_output = outputs * inputs.mask, last_output * inputs.mask[:, -1]
        if not self.return_sequences:
            outputs = ops.expand_dims(last_output, 1)
        if valid is not None:
            outputs, last_output = self._mark_invalid(outputs, last_output, valid)
        return last_output, outputs, states

    def separate_inputs(
        self, sequences: Tensor, mask: Tensor | None
    ) -> tuple[StepInputs, float | None, Tensor | None]:
        """The inputs of the steps by name, from the sequences that `inner_loop` takes.

        Backwards, each step takes the elapsed time of the gap behind it.

        Args:
            sequences: The features (batch, time, features), followed by elapsed times if the call
                was given them.
            mask: Booleans (batch, time), or None.

        Returns:
            The inputs; the elapsed time of all steps if it is one number, otherwise None; and which
            elapsed times are valid (batch, time, 1), or None if all are.
        """
        elapsed = None
        if sequences.shape[-1] > self._features:
            sequences, elapsed = elapsed_time.split(sequences)
        dtype = step_dtype(self.cell)
        features, elapsed = self.cell.separate_elapsed(sequences, elapsed)
        elapsed, valid = elapsed_time.refuse_invalid(elapsed, dtype)
        if mask is not None:
            mask = ops.cast(ops.expand_dims(mask, -1), dtype)
        features = bounded(features, self.cell.compute_dtype)
        if not hasattr(elapsed, "shape"):
            return StepInputs(features, mask=mask), elapsed, valid
        if self.go_backwards:
            elapsed = elapsed_time.backwards(elapsed, mask)
        return StepInputs(features, elapsed, mask), None, valid

    def _mark_invalid(self, outputs, last_output, valid):
        """Replace outputs by NaN from the step with an invalid elapsed time on."""
        if self.go_backwards:
            valid = ops.flip(valid, axis=1)
        so_far = ops.cumprod(ops.cast(valid, outputs.dtype), axis=1) > 0
        last_output = ops.where(so_far[:, -1], last_output, float("nan"))
        if not self.return_sequences:
            return ops.expand_dims(last_output, 1), last_output
        return ops.where(so_far, outputs, float("nan")), last_output

    def _constants(self, elapsed, recurrent_mask) -> list[Tensor]:
        """Tensors that the cell computes once for all steps."""
        # Newton's method needs forward derivatives, which the constants of a cell may not have.
        is_iterated = self._is_iterated and recurrent_mask is None
        if not hasattr(self.cell, "constants") or is_iterated:
            return []
        if recurrent_mask is None or not accepts(self.cell.constants, "recurrent_mask"):
            return self.cell.constants(elapsed)
        return self.cell.constants(elapsed, recurrent_mask=recurrent_mask)

    @property
    def _is_parallel(self):
        """Whether a scan in blocks computes the states; files for devices hold the loop."""
        wanted = self.parallel == SCAN or (self.parallel == AUTO and has_accelerator())
        return wanted and not elapsed_time.in_device_file()

    @property
    def _is_iterated(self):
        """Whether Newton's method computes the states."""
        return self.parallel not in (None, AUTO, SCAN)

    def _recomputes(self) -> bool:
        """Whether the gradient recomputes steps."""
        if self.remat is None or self._is_iterated or has_maps(self.cell):
            return False
        # Solver steps are many small operations, which are cheaper to recompute than to store.
        if self.remat == "auto" and not hasattr(self.cell, "unfolds"):
            return False
        # A step that writes to variables must run once. Dropout draws its masks before the scan.
        seeds = {id(state) for state in dropout_seed_states(self.cell)}
        return all(id(variable) in seeds for variable in self.cell.non_trainable_variables)

    def _driver(self, recomputed: bool) -> Callable:
        """The function that applies the cell to all steps."""
        if has_maps(self.cell):
            recurrence = in_blocks if self._is_parallel else step_by_step
            return functools.partial(
                mobius_scan, recurrence=recurrence, remat=self.remat is not None
            )
        if self._is_iterated:
            assert self.parallel is not None
            return functools.partial(newton_scan, method=self.parallel)
        if not recomputed:
            return full_scan
        if self.remat in ("auto", 1):
            return remat_scan
        assert isinstance(self.remat, int)
        return functools.partial(
            chunked_scan, chunk=self.remat, return_sequences=self.return_sequences
        )

    def with_cell(self, cell: Any) -> "LiquidRNN":
        """A new layer with the same name and arguments, and another cell.

        Args:
            cell: The cell, which may be built.
        """
        options = {name: getattr(self, name) for name in (*RNN_OPTIONS, "remat", "parallel")}
        return type(self)(
            cell, name=self.name, dtype=self.dtype_policy, trainable=self.trainable, **options
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "remat": self.remat, "parallel": self.parallel}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "LiquidRNN":
        # A model trained by Newton's method on JAX is evaluated by a loop on other backends.
        config = {**config, "parallel": portable(config.get("parallel"))}
        return super().from_config(config, custom_objects=custom_objects)


def _checked_remat(remat: Any) -> int | str | None:
    if remat is None or remat == "auto":
        return remat
    if isinstance(remat, str):
        raise ValueError(f'`remat` must be an integer, "auto" or None; received {remat!r}.')
    return require_at_least(1, "remat", remat)


def _with_dropout(inputs: StepInputs, mask: Tensor | None) -> StepInputs:
    """Multiply the features of all steps by a dropout mask (batch, features or more)."""
    if mask is None:
        return inputs
    # The mask was drawn for the features and, behind them, the elapsed time.
    mask = ops.expand_dims(mask[..., : inputs.features.shape[-1]], 1)
    return inputs._replace(features=inputs.features * ops.cast(mask, inputs.features.dtype))
