"""LiquidRNN: the fast driver of liquid cells."""

import keras
from keras import ops

from lnn_keras import elapsed as elapsed_time
from lnn_keras.argument_checks import require_at_least
from lnn_keras.autodiff.functional import pure, weights_of
from lnn_keras.layers import parallel_scan as in_parallel
from lnn_keras.layers.scan import scan, split


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
        parallel: None, or on JAX "newton" or "quasi_newton": all steps at once, by iterations
            that repeat until the scan's states are found (`lnn_keras.layers.parallel_scan`).
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
        ValueError: `cell` lacks `project` or `advance`, `elapsed` has another shape, `remat`
            is neither of these, or the backend or the cell does not allow `parallel`.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(32), return_sequences=True)
    outputs = layer(x, elapsed=elapsed)    # (batch, time, 32)
    ```
    """

    def __init__(
        self, cell, remat: int | str | None = "auto", parallel: str | None = None, **kwargs
    ):
        missing = [name for name in ("project", "advance") if not hasattr(cell, name)]
        if missing:
            raise ValueError(
                f"LiquidRNN needs a cell with `project` and `advance`; {type(cell).__name__} lacks "
                f"{' and '.join(missing)}. keras.layers.RNN drives any other cell."
            )
        kwargs.setdefault("dtype", cell.dtype_policy)
        super().__init__(cell, **kwargs)
        self.remat = remat if remat in (None, "auto") else require_at_least(1, "remat", remat)
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
        # Masked steps repeat the last output; so does every step of a piece, for its end.
        holds_output = not self.parallel and (mask is not None or self._pieces)
        # Newton's method asks for derivatives forwards, which constants may not have.
        has_constants = hasattr(self.cell, "constants") and not self.parallel
        constants = self.cell.constants(elapsed) if has_constants else []
        step = _Step(self.cell, constants, elapsed, mask is not None, self._again, holds_output)
        states = list(initial_state)
        if step.holds_output:
            batch = ops.shape(features)[0]
            states = [ops.zeros((batch, self.cell.output_size), features.dtype), *states]
        drive = self._scan_pieces if self._pieces else self._scan_steps
        drive = self._iterate if self.parallel else drive
        outputs, last, states = drive(step, rows, states)
        states = states[step.holds_output :]
        if mask is not None and self.zero_output_for_mask:
            outputs, last = outputs * mask, last * mask[:, -1]
        return last, outputs if self.return_sequences else ops.expand_dims(last, 1), states

    @property
    def _again(self):
        """Whether steps are computed again; those that write to variables must not be."""
        # Solver steps are many small operations, which it costs more to keep; others are products.
        if self.parallel:
            return False
        pays = self.remat != "auto" or hasattr(self.cell, "unfolds")
        return self.remat is not None and pays and not self.cell.non_trainable_variables

    @property
    def _pieces(self):
        return self._again and self.remat not in ("auto", 1)

    def _scan_steps(self, step, rows, states):
        """All outputs, the last one and the last states, keeping the states of every step."""
        rows = step.project(ops.concatenate(rows, axis=-1), step.arguments)
        trace = self._scan(step, rows, states, step.arguments, self._again, self.unroll)
        sizes = [state.shape[-1] for state in states]
        outputs = trace[..., : self.cell.output_size]
        return outputs, outputs[:, -1], split(trace[:, -1, -sum(sizes) :], sizes)

    def _scan(self, step, rows, states, *options):
        """`scan`, whose rows and trace are (batch, time, size) for every cell."""
        if not step.samples_last:
            return scan(step, rows, states, *options)
        rows, states = ops.transpose(rows), [ops.transpose(state) for state in states]
        return ops.transpose(scan(step, rows, states, *options, axis=0))

    def _scan_pieces(self, step, rows, states):
        """The same, keeping the states between pieces of `remat` steps alone."""
        length, steps = ops.shape(rows[0])[1], self.remat
        rows = ops.concatenate(rows, axis=-1)
        width, sizes = rows.shape[-1], [state.shape[-1] for state in states]
        rows = ops.pad(rows, [(0, 0), (0, -length % steps), (0, 0)])
        rows = ops.reshape(rows, (ops.shape(rows)[0], -1, steps * width))

        def piece(row, states, arguments):
            rows = step.project(ops.reshape(row, (-1, steps, width)), arguments)
            trace = self._scan(step, rows, states, arguments)
            outputs = ops.reshape(trace[..., : sizes[0]], (-1, steps * sizes[0]))
            return outputs if self.return_sequences else None, split(trace[:, -1], sizes)

        trace = scan(piece, rows, states, step.arguments, unroll=self.unroll)
        states = split(trace[:, -1, -sum(sizes) :], sizes)
        if not self.return_sequences:
            return ops.expand_dims(states[0], 1), states[0], states
        outputs = ops.reshape(trace[..., : -sum(sizes)], (ops.shape(trace)[0], -1, sizes[0]))
        return outputs[:, :length], states[0], states

    def _iterate(self, step, rows, states):
        """The same, all steps at once by Newton's method."""
        mask = rows[-1]
        rows = ops.swapaxes(step.project(ops.concatenate(rows, axis=-1), step.arguments), 0, 1)
        found, _, _ = in_parallel.parallel_scan(
            lambda h, row: step(row, [h], step.arguments)[1][0],
            states[0],
            rows,
            method=self.parallel,
        )
        outputs = ops.swapaxes(self.cell.read_out(found), 0, 1)
        if step.masked:
            # A masked step repeats the output before it, and zeros where there is none.
            outputs = ops.where(ops.cumsum(mask, axis=1) > 0, outputs, 0)
        return outputs, outputs[:, -1], [found[-1]]

    def get_config(self):
        return {**super().get_config(), "remat": self.remat, "parallel": self.parallel}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        # What was trained in parallel is the same model elsewhere, where a scan evaluates it.
        if keras.backend.backend() != "jax":
            config = {**config, "parallel": None}
        return super().from_config(config, custom_objects=custom_objects)


class _Step:
    """A step of a cell as `scan` takes it: its row is projected features, elapsed time, mask.

    Args:
        cell: The cell.
        constants: Its constants for the elapsed time.
        elapsed: The elapsed time of every step, or None where rows hold it.
        masked: Whether rows hold a mask.
        again: Whether steps are computed again, and so must be pure.
        holds_output: Whether the first state is the last output.

    Attributes:
        masked: Whether rows hold a mask.
        samples_last: Whether rows and states are (size, batch).
        arguments: What a step depends on beside row and states: the cell's weights, if it must
            be pure, and its constants.
    """

    def __init__(self, cell, constants, elapsed, masked, again, holds_output):
        def advance(row, states, constants, elapsed=elapsed):
            given = [ops.cast(constant, row.dtype) for constant in constants]
            return cell.advance(row, states, elapsed, *([given] if given else []))

        self._timed, self.masked, self.holds_output = elapsed is None, masked, holds_output
        self.samples_last = bool(constants) and getattr(cell, "samples_last", False)
        self._advance, self._project = pure(cell, advance), pure(cell, cell.project)
        weights = weights_of(cell) if again else []
        # What all steps share has gradients that add up, in the precision of the weights.
        shared = [ops.cast(constant, cell.variable_dtype) for constant in constants]
        self.arguments, self._count = [*weights, *shared], len(weights)

    def __call__(self, row, states, arguments):
        weights, constants = arguments[: self._count], arguments[self._count :]
        unmasked, elapsed = None, []
        if self.masked:
            row, unmasked = self._take_rider(row)
        if self._timed:
            row, *elapsed = self._take_rider(row)
        before = states[self.holds_output :]
        output, new = self._advance(weights, row, before, constants, *elapsed)
        new = [output, *new] if self.holds_output else new
        if self.masked:
            pairs = zip(new, states, strict=True)
            new = [ops.where(unmasked > 0, now, before) for now, before in pairs]
        # An output that is the first state is not kept twice.
        return None if self.holds_output or output is new[0] else output, new

    def _take_rider(self, row):
        axis = 0 if self.samples_last else -1
        return split(row, [row.shape[axis] - 1, 1], axis)

    def project(self, rows, arguments):
        """Rows of features, elapsed time and mask, their features projected."""
        riders = self.masked + self._timed
        features = rows[..., : rows.shape[-1] - riders]
        projected = self._project(arguments[: self._count], features)
        return ops.concatenate([projected, rows[..., rows.shape[-1] - riders :]], axis=-1)
