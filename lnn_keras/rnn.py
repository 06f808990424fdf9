"""LiquidRNN: the fast driver of liquid cells."""

import keras
from keras import ops

from lnn_keras import elapsed as elapsed_time
from lnn_keras import parallel as in_parallel
from lnn_keras.cells.continuous_time import as_list


class _Advance:
    """The scanned half of a cell, as a cell: its inputs are projected already."""

    def __init__(self, cell, elapsed):
        self.cell = cell
        self.elapsed = elapsed
        self.state_size = cell.state_size
        self.output_size = cell.output_size

    def call(self, projected, states):
        elapsed = self.elapsed
        if elapsed is None:
            projected, elapsed = elapsed_time.split(projected)
        return self.cell.advance(projected, states, elapsed)

    __call__ = call


class _Repeat:
    """A cell whose first state is its previous output, which masked steps repeat.

    Keras's scan under JAX takes that for granted; a liquid cell's output may be
    another than its state.
    """

    def __init__(self, cell):
        self.cell = cell
        self.state_size = [cell.output_size, *as_list(cell.state_size)]
        self.output_size = cell.output_size

    def call(self, inputs, states):
        output, states = self.cell.call(inputs, list(states[1:]))
        return output, [output, *states]

    __call__ = call


@keras.saving.register_keras_serializable(package="lnn_keras")
class LiquidRNN(keras.layers.RNN):
    """`keras.layers.RNN` for liquid cells: faster, and with elapsed time as an argument.

    It calls `cell.project` once on the whole sequence and scans `cell.advance`
    alone: the numbers of `keras.layers.RNN(cell)`, from fewer and larger operations.

    Args:
        cell: A cell of `lnn_keras`, or any RNN cell that has `project` and `advance`.
        parallel: None, or on JAX "newton" or "quasi_newton": all steps at once, by iterations
            that repeat until the scan's states are found, as `lnn_keras.parallel` describes.
            For LiquidCell, CfCCell and others whose one state tells their output (`read_out`).
        **kwargs: Those of `keras.layers.RNN`: return_sequences, return_state,
            go_backwards, stateful, unroll, zero_output_for_mask.

    Call arguments:
        sequences: (batch, time, features).
        elapsed: Optional elapsed times (batch, time) or (batch, time, 1), or one
            number for every step; the cell's own without it.
        initial_state: Optional list of states (batch, units).
        mask: Optional booleans (batch, time); masked steps leave the state alone.

    Raises:
        ValueError: `cell` lacks `project` or `advance`, `elapsed` has another shape, or the
            backend or the cell does not allow `parallel`.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(32), return_sequences=True)
    outputs = layer(x, elapsed=elapsed)    # (batch, time, 32)
    ```
    """

    def __init__(self, cell, parallel: str | None = None, **kwargs):
        missing = [name for name in ("project", "advance") if not hasattr(cell, name)]
        if missing:
            raise ValueError(
                f"LiquidRNN needs a cell with `project` and `advance`; {type(cell).__name__} lacks "
                f"{' and '.join(missing)}. keras.layers.RNN drives any other cell."
            )
        kwargs.setdefault("dtype", cell.dtype_policy)
        super().__init__(cell, **kwargs)
        self.parallel = in_parallel.require_supported(parallel, self)

    def build(self, sequences_shape, elapsed_shape=None, initial_state_shape=None):
        self._features = sequences_shape[-1]
        super().build(sequences_shape, initial_state_shape)

    def compute_output_shape(self, sequences_shape, elapsed_shape=None, initial_state_shape=None):
        return super().compute_output_shape(sequences_shape, initial_state_shape)

    def call(self, sequences, elapsed=None, initial_state=None, mask=None, training=False):
        if elapsed is not None:
            if not hasattr(elapsed, "shape"):
                elapsed = ops.full_like(sequences[..., :1], elapsed_time.validate(elapsed))
            sequences = elapsed_time.append(sequences, elapsed)
        return super().call(sequences, initial_state=initial_state, mask=mask, training=training)

    def inner_loop(self, sequences, initial_state, mask, training=False):
        elapsed = None
        if sequences.shape[-1] > self._features:
            sequences, elapsed = elapsed_time.split(sequences)
        features, elapsed = self.cell.separate_elapsed(sequences, elapsed)
        projected = self.cell.project(features)
        if hasattr(elapsed, "shape"):
            # The stock scan takes one tensor, so elapsed time rides behind the projection.
            projected, elapsed = elapsed_time.append(projected, elapsed), None
        cell = _Advance(self.cell, elapsed)
        if self.parallel:
            return in_parallel.inner_loop(self, cell, projected, initial_state, mask)
        if mask is not None:
            cell = _Repeat(cell)
            start = ops.zeros((ops.shape(projected)[0], cell.output_size), projected.dtype)
            initial_state = [start, *initial_state]
        scan = keras.layers.RNN(
            cell,
            return_sequences=self.return_sequences,
            go_backwards=self.go_backwards,
            unroll=self.unroll,
            zero_output_for_mask=self.zero_output_for_mask,
            name="scan",
        )
        last, outputs, states = scan.inner_loop(projected, initial_state, mask, training)
        return last, outputs, states if mask is None else states[1:]

    def get_config(self):
        return {**super().get_config(), "parallel": self.parallel}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        # What was trained in parallel is the same model elsewhere, where a scan evaluates it.
        if keras.backend.backend() != "jax":
            config = {**config, "parallel": None}
        return super().from_config(config, custom_objects=custom_objects)
