"""LiquidRNN: the fast driver of liquid cells."""

import keras
from keras import ops

from lnn_keras import elapsed as elapsed_time
from lnn_keras.choices import require_at_least
from lnn_keras.pure import pure, weights_of
from lnn_keras.scan import scan, split


@keras.saving.register_keras_serializable(package="lnn_keras")
class LiquidRNN(keras.layers.RNN):
    """`keras.layers.RNN` for liquid cells: faster, and with elapsed time as an argument.

    It calls `cell.project` once on the whole sequence and scans `cell.advance` alone: the numbers
    of `keras.layers.RNN(cell)`, from fewer and larger operations. For the gradient it keeps the
    states between the steps, and computes the rest again.

    Args:
        cell: A cell of `lnn_keras`, or any RNN cell that has `project` and `advance`.
        remat: Steps between the states that are kept for the gradient, all else being computed
            again. Most is saved with about the square root of the length. None keeps all that
            every step computes, as `keras.layers.RNN` does; "auto" is the faster of 1 and None.
        **kwargs: Those of `keras.layers.RNN`: return_sequences, return_state,
            go_backwards, stateful, unroll, zero_output_for_mask.

    Call arguments:
        sequences: (batch, time, features).
        elapsed: Optional elapsed times (batch, time) or (batch, time, 1), or one
            number for every step; the cell's own without it.
        initial_state: Optional list of states (batch, units).
        mask: Optional booleans (batch, time); masked steps leave the state alone.

    Raises:
        ValueError: `cell` lacks `project` or `advance`, `elapsed` has another shape, or `remat`
            is neither of these.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(32), return_sequences=True)
    outputs = layer(x, elapsed=elapsed)    # (batch, time, 32)
    ```
    """

    def __init__(self, cell, remat: int | str | None = "auto", **kwargs):
        missing = [name for name in ("project", "advance") if not hasattr(cell, name)]
        if missing:
            raise ValueError(
                f"LiquidRNN needs a cell with `project` and `advance`; {type(cell).__name__} lacks "
                f"{' and '.join(missing)}. keras.layers.RNN drives any other cell."
            )
        kwargs.setdefault("dtype", cell.dtype_policy)
        super().__init__(cell, **kwargs)
        self.remat = remat if remat in (None, "auto") else require_at_least(1, "remat", remat)

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
        elapsed, length = None, sequences.shape[1]
        if sequences.shape[-1] > self._features:
            sequences, elapsed = elapsed_time.split(sequences)
        features, elapsed = self.cell.separate_elapsed(sequences, elapsed)
        # Pieces of one length leave steps over, which are masked.
        if mask is None and self._pieces and (length is None or length % self.remat):
            mask = ops.ones(ops.shape(features)[:2], "bool")
        # The scan takes one tensor, so elapsed time and mask ride behind the features.
        riders = []
        if hasattr(elapsed, "shape"):
            riders, elapsed = [ops.cast(elapsed, features.dtype)], None
        if mask is not None:
            mask = ops.cast(ops.expand_dims(mask, -1), features.dtype)
            riders = [*riders, mask]
        rows = [features, *riders]
        if self.go_backwards:
            rows = [ops.flip(tensor, axis=1) for tensor in rows]
            mask = None if mask is None else rows[-1]
        step = _Step(self.cell, elapsed, mask is not None, self._again, self._pieces)
        states = list(initial_state)
        if step.holds_output:
            batch = ops.shape(features)[0]
            states = [ops.zeros((batch, self.cell.output_size), features.dtype), *states]
        drive = self._scan_pieces if self._pieces else self._scan_steps
        outputs, last, states = drive(step, rows, states)
        states = states[step.holds_output :]
        if mask is not None and self.zero_output_for_mask:
            outputs, last = outputs * mask, last * mask[:, -1]
        return last, outputs if self.return_sequences else ops.expand_dims(last, 1), states

    @property
    def _again(self):
        """Whether steps are computed again; those that write to variables must not be."""
        # Solver steps are many small operations, which it costs more to keep; others are products.
        pays = self.remat != "auto" or hasattr(self.cell, "unfolds")
        return self.remat is not None and pays and not self.cell.non_trainable_variables

    @property
    def _pieces(self):
        return self._again and self.remat not in ("auto", 1)

    def _scan_steps(self, step, rows, states):
        """All outputs, the last one and the last states, keeping the states of every step."""
        rows = step.project(ops.concatenate(rows, axis=-1), step.arguments)
        trace = scan(step, rows, states, step.arguments, self._again, self.unroll)
        sizes = [state.shape[-1] for state in states]
        outputs = trace[..., : self.cell.output_size]
        return outputs, outputs[:, -1], split(trace[:, -1, -sum(sizes) :], sizes)

    def _scan_pieces(self, step, rows, states):
        """The same, keeping the states between pieces of `remat` steps alone."""
        length, steps = ops.shape(rows[0])[1], self.remat
        rows = ops.concatenate(rows, axis=-1)
        width, sizes = rows.shape[-1], [state.shape[-1] for state in states]
        rows = ops.pad(rows, [(0, 0), (0, -length % steps), (0, 0)])
        rows = ops.reshape(rows, (ops.shape(rows)[0], -1, steps * width))

        def piece(row, states, arguments):
            rows = step.project(ops.reshape(row, (-1, steps, width)), arguments)
            trace = scan(step, rows, states, arguments)
            outputs = ops.reshape(trace[..., : sizes[0]], (-1, steps * sizes[0]))
            return outputs if self.return_sequences else None, split(trace[:, -1], sizes)

        trace = scan(piece, rows, states, step.arguments, unroll=self.unroll)
        states = split(trace[:, -1, -sum(sizes) :], sizes)
        if not self.return_sequences:
            return ops.expand_dims(states[0], 1), states[0], states
        outputs = ops.reshape(trace[..., : -sum(sizes)], (ops.shape(trace)[0], -1, sizes[0]))
        return outputs[:, :length], states[0], states

    def get_config(self):
        return {**super().get_config(), "remat": self.remat}


class _Step:
    """A step of a cell as `scan` takes it: its row is projected features, elapsed time, mask.

    Args:
        cell: The cell.
        elapsed: The elapsed time of every step, or None where rows hold it.
        masked: Whether rows hold a mask.
        again: Whether steps are computed again, and so must be pure.
        pieces: Whether they are driven in pieces.

    Attributes:
        holds_output: Whether the first state is the last output: what masked steps repeat.
        arguments: What a step depends on beside row and states: the cell's weights, if it must
            be pure, and its constants.
    """

    def __init__(self, cell, elapsed, masked, again, pieces):
        def advance(row, states, constants, elapsed=elapsed):
            given = [constants] if constants else []
            return cell.advance(row, states, elapsed, *given)

        self._timed, self._masked, self.holds_output = elapsed is None, masked, masked or pieces
        self._advance, self._project = pure(cell, advance), pure(cell, cell.project)
        weights = weights_of(cell) if again else []
        constants = cell.constants(elapsed) if hasattr(cell, "constants") else ()
        # What all steps share has gradients that add up, in the precision of the weights.
        shared = [ops.cast(constant, cell.variable_dtype) for constant in constants]
        self.arguments, self._count = [*weights, *shared], len(weights)

    def __call__(self, row, states, arguments):
        weights, constants = arguments[: self._count], arguments[self._count :]
        unmasked, elapsed = None, []
        if self._masked:
            row, unmasked = elapsed_time.split(row)
        if self._timed:
            row, *elapsed = elapsed_time.split(row)
        before = states[self.holds_output :]
        output, new = self._advance(weights, row, before, constants, *elapsed)
        if not self.holds_output:
            # An output that is the first state is not kept twice.
            return None if output is new[0] else output, new
        new = [output, *new]
        if self._masked:
            pairs = zip(new, states, strict=True)
            new = [ops.where(unmasked > 0, now, before) for now, before in pairs]
        return None, new

    def project(self, rows, arguments):
        """Rows of features, elapsed time and mask, their features projected."""
        riders = self._masked + self._timed
        features = rows[..., : rows.shape[-1] - riders]
        projected = self._project(arguments[: self._count], features)
        return ops.concatenate([projected, rows[..., rows.shape[-1] - riders :]], axis=-1)
