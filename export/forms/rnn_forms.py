"""RNN layers as one time step, and as a while loop that the TFLite converter supports."""

import contextlib
from typing import Any

import keras
from keras import ops

from export import compat
from export.forms.rnn_layers import cells_of
from lnn_keras.cells.continuous_time import ContinuousTimeCell


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
        self.built = True

    def _call_cell(self, inputs, states, elapsed):
        elapsed = {} if elapsed is None else {"elapsed": elapsed}
        nested = keras.tree.pack_sequence_as(self.layer.get_initial_state(batch_size=1), states)
        with _without_adjoints(self.layer.cell):
            output, new_states = self.layer.cell(inputs, nested, **elapsed)
        return output, keras.tree.flatten(new_states)


class RecurrentStep(_Recurrent):
    """An RNN layer's cell on one row, or on the rows of one step in order.

    Call arguments:
        inputs: (batch, features), or (batch, rows, features).
        states: Flat list of the states, each (batch, ...).
        elapsed: Elapsed times (batch, 1) or (batch, rows, 1), or None.

    Returns:
        The output of the last row, or of all rows if the layer returns sequences; and the flat
        list of the states after the last row.
    """

    def call(self, inputs: Any, states: list[Any], elapsed: Any = None) -> tuple[Any, list[Any]]:
        if len(inputs.shape) == 2:
            return self._call_cell(inputs, states, elapsed)
        outputs = []
        for row in range(inputs.shape[1]):
            output, states = self._call_cell(
                inputs[:, row], states, None if elapsed is None else elapsed[:, row]
            )
            outputs.append(output)
        return ops.stack(outputs, axis=1) if self.layer.return_sequences else outputs[-1], states


class RecurrentSequence(_Recurrent):
    """An RNN layer over a sequence of any length, as a loop of TFLite built-in operations.

    Keras's own loop appends outputs to a TensorList, which the converter turns into Flex
    operations that plain runtimes refuse. This loop writes each output into one tensor.

    Call arguments:
        sequences: (batch, time, features).
        elapsed: Elapsed times (batch, time) or (batch, time, 1), or None.

    Returns:
        The outputs of the RNN layer.
    """

    def call(self, sequences: Any, elapsed: Any = None) -> Any:
        import tensorflow as tf

        cell, batch = self.layer.cell, tf.shape(sequences)[0]
        advance = self._call_cell
        if elapsed is not None and len(elapsed.shape) == 2:
            elapsed = tf.expand_dims(elapsed, -1)
        if isinstance(cell, ContinuousTimeCell):
            # The part that depends only on the inputs is one product over the whole sequence.
            sequences, elapsed = cell.separate_elapsed(sequences, elapsed)
            sequences, advance = cell.project(sequences), cell.advance
        by_time = tf.transpose(sequences, [1, 0, 2])
        # Without a shape, `elapsed` is one number for all steps, or None.
        times: Any = elapsed if hasattr(elapsed, "shape") else None
        if times is not None:
            times = tf.transpose(times, [1, 0, 2])
        states = keras.tree.flatten(self.layer.get_initial_state(batch_size=1))
        states = [self._repeated(state, batch) for state in states]
        length = tf.shape(by_time)[0]
        rows = length if self.layer.return_sequences else 1
        outputs = tf.zeros(tf.stack([rows, batch, cell.output_size]))

        def body(t, outputs, *states):
            output, states = advance(
                by_time[t], list(states), elapsed if times is None else times[t]
            )
            start = tf.stack([t if self.layer.return_sequences else 0, 0, 0])
            outputs = compat.update_slice(outputs, output[None], start)
            return t + 1, outputs, *keras.tree.flatten(states)

        shapes = [tf.TensorShape([]), tf.TensorShape([None, None, cell.output_size])]
        shapes += [tf.TensorShape([None, *state.shape[1:]]) for state in states]
        with _without_adjoints(cell):
            _, outputs, *states = tf.while_loop(
                lambda t, *_: t < length, body, [0, outputs, *states], shape_invariants=shapes
            )
        result = tf.transpose(outputs, [1, 0, 2]) if self.layer.return_sequences else outputs[0]
        return (result, *states) if self.layer.return_state else result

    def _repeated(self, state, batch):
        """A state (1, ...) repeated along the batch axis."""
        import tensorflow as tf

        multiples: Any = [batch] + [1] * (len(state.shape) - 1)  # TensorFlow stacks it
        return tf.tile(state, multiples)
