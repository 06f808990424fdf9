"""RNN layers as one time step, and as a while loop that the TFLite converter supports."""

import contextlib
from typing import Any

import keras
from keras import ops

from export import compat
from export.forms.rnn_layers import cells_of
from lnn_keras import LiquidRNN
from lnn_keras.cells.continuous_time import ContinuousTimeCell
from lnn_keras.elapsed import without_checks


@contextlib.contextmanager
def _without_adjoints(cell):
    """Disable `adjoint` in all cells: same outputs, without the loop that saves gradient memory."""
    cells = [inner for inner in cells_of(cell) if getattr(inner, "adjoint", False)]
    for inner in cells:
        inner.adjoint = False
    try:
        yield
    finally:
        for inner in cells:
            inner.adjoint = True


class _Recurrent(keras.layers.Layer):
    """Base class of both forms; holds the built RNN layer and shares its weights."""

    def __init__(self, layer: keras.layers.RNN):
        super().__init__(name=layer.name)
        self.layer = layer
        self.supports_masking = True
        self.built = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask if self.layer.return_sequences else None

    def _call_cell(self, inputs, states, elapsed):
        elapsed = {} if elapsed is None else {"elapsed": elapsed}
        nested = keras.tree.pack_sequence_as(self.layer.get_initial_state(batch_size=1), states)
        with _without_adjoints(self.layer.cell), without_checks():
            output, new_states = self.layer.cell(inputs, nested, **elapsed)
        return output, keras.tree.flatten(new_states)


class RecurrentStep(_Recurrent):
    """An RNN layer's cell on one row, or on the rows of one step in order.

    Call arguments:
        inputs: (batch, features), or (batch, rows, features).
        states: Flat list of the states, each (batch, ...).
        elapsed: Elapsed times (batch, 1), (batch, rows) or (batch, rows, 1), a number, or None.

    Returns:
        The output of the last row, or of all rows if the layer returns sequences; and the flat
        list of the states after the last row.
    """

    def call(self, inputs: Any, states: list[Any], elapsed: Any = None) -> tuple[Any, list[Any]]:
        if len(inputs.shape) == 2:
            return self._call_cell(inputs, states, elapsed)
        outputs = []
        for row in range(inputs.shape[1]):
            output, states = self._call_cell(inputs[:, row], states, _row_of(elapsed, row))
            outputs.append(output)
        return ops.stack(outputs, axis=1) if self.layer.return_sequences else outputs[-1], states


def _row_of(elapsed, row):
    if not hasattr(elapsed, "shape"):
        return elapsed
    return elapsed[:, row : row + 1] if len(elapsed.shape) == 2 else elapsed[:, row]


class RecurrentSequence(_Recurrent):
    """An RNN layer over a sequence of any length, as a loop of TFLite built-in operations.

    Keras's own loop appends outputs to a TensorList, which the converter turns into Flex
    operations that plain runtimes refuse. This loop writes each output into one tensor.

    Call arguments:
        sequences: (batch, time, features).
        initial_state: The states before the first step, each (batch, ...); by default those of
            the layer.
        mask: (batch, time), false for steps that leave outputs and states unchanged, or None.
        elapsed: Elapsed times (batch, time) or (batch, time, 1), a number, or None.

    Returns:
        The results of the RNN layer.
    """

    def call(
        self,
        sequences: Any,
        initial_state: list[Any] | None = None,
        mask: Any = None,
        elapsed: Any = None,
    ) -> Any:
        import tensorflow as tf

        layer = self.layer
        batch, length = tf.unstack(tf.shape(sequences)[:2])
        by_time, times, advance = self._inputs_by_time(sequences, elapsed)
        states = self._initial_states(initial_state, batch)
        shape = self._output_shape(by_time, times, states, advance)
        valid = None if mask is None else _valid_by_time(mask, len(shape))
        rows = length if layer.return_sequences else 1
        outputs = tf.zeros(tf.stack([rows, batch, *shape]))
        # A masked step repeats the last output.
        last = [] if valid is None else [tf.zeros(tf.stack([batch, *shape]))]
        # Backwards, a step of LiquidRNN takes the elapsed time of the step that was read before it.
        behind = isinstance(layer, LiquidRNN) and layer.go_backwards and hasattr(times, "shape")
        gap = [_first_valid(times, valid)] if behind else []
        kept = len(gap) + len(last)

        def body(t, outputs, *carried):
            # Keras returns backward outputs in the order in which they were computed.
            row = length - 1 - t if layer.go_backwards else t
            old: list[Any] = list(carried[kept:])
            time: Any = _at(times, row)
            output, new = advance(by_time[row], old, carried[0] if behind else time)
            following = [time] if behind else []
            if valid is not None:
                other = tf.zeros_like(output) if layer.zero_output_for_mask else carried[kept - 1]
                output = tf.where(valid[row], output, other)
                new = [tf.where(valid[row], *pair) for pair in zip(new, old, strict=True)]
                following = [tf.where(valid[row], time, carried[0]) for time in following]
            start = tf.stack([t if layer.return_sequences else 0, *[0] * (len(shape) + 1)])
            outputs = compat.update_slice(outputs, output[None], start)
            return t + 1, outputs, *following, *[output][: len(last)], *new

        carried = [*gap, *last, *states]
        shapes = [tf.TensorShape([]), tf.TensorShape([None, None, *shape])]
        shapes += [tf.TensorShape([None, *tensor.shape[1:]]) for tensor in carried]
        with _without_adjoints(layer.cell), without_checks():
            _, outputs, *carried = tf.while_loop(
                lambda t, *_: t < length, body, [0, outputs, *carried], shape_invariants=shapes
            )
        result = _swap_batch_and_time(outputs) if layer.return_sequences else outputs[0]
        return (result, *carried[kept:]) if layer.return_state else result

    def _inputs_by_time(self, sequences, elapsed):
        """Inputs and elapsed times with the time axis first, and the function of one step."""
        cell, advance = self.layer.cell, self._call_cell
        if hasattr(elapsed, "shape") and len(elapsed.shape) == 2:
            elapsed = ops.expand_dims(elapsed, -1)
        if isinstance(cell, ContinuousTimeCell):
            # The part that depends only on the inputs is one product over the whole sequence.
            sequences, elapsed = cell.separate_elapsed(sequences, elapsed)
            sequences, advance = cell.project(sequences), self._advance
        times = _swap_batch_and_time(elapsed) if hasattr(elapsed, "shape") else elapsed
        return _swap_batch_and_time(sequences), times, advance

    def _advance(self, projected, states, elapsed):
        output, states = self.layer.cell.advance(projected, states, elapsed)
        return output, keras.tree.flatten(states)

    def _output_shape(self, by_time, times, states, advance):
        """Shape of one output; `output_size` is optional for a user's own cell."""
        size = getattr(self.layer.cell, "output_size", None)
        if isinstance(size, int):
            return (size,)
        with _without_adjoints(self.layer.cell):
            return tuple(advance(by_time[0], states, _at(times, 0))[0].shape[1:])

    def _initial_states(self, initial_state, batch):
        """The states before the first step, each (batch, ...)."""
        import tensorflow as tf

        if initial_state is not None:
            return keras.tree.flatten(initial_state)
        states = keras.tree.flatten(self.layer.get_initial_state(batch_size=1))
        return [tf.tile(s, tf.stack([batch] + [1] * (len(s.shape) - 1))) for s in states]


def _swap_batch_and_time(tensor) -> Any:
    return ops.transpose(tensor, (1, 0, *range(2, len(tensor.shape))))


def _valid_by_time(mask, rank):
    """A mask (batch, time) as (time, batch, 1, ...), for states and outputs of a rank."""
    valid = ops.transpose(ops.cast(mask, "bool"))
    return ops.expand_dims(valid, tuple(range(2, 2 + rank)))


def _first_valid(times, valid) -> Any:
    """The elapsed time (batch, 1) of the first step, or of the first one that is not masked."""
    if valid is None:
        return times[0]
    is_valid: Any = ops.cast(valid, times.dtype)
    count: Any = ops.cumsum(is_valid, axis=0)
    return ops.sum(times * is_valid * ops.cast(count <= 1, times.dtype), axis=0)


def _at(times, row):
    """The elapsed times of a step; a number, or None, holds for all steps."""
    return times[row] if hasattr(times, "shape") else times
