"""RNN layers as one time step, and as a loop that the converter takes."""

import contextlib

import keras
from keras import ops

from export.forms.rnn_layers import cells_of
from lnn_keras.cells.continuous_time import ContinuousTimeCell


@contextlib.contextmanager
def _without_adjoints(cell):
    """Cells give the same numbers without their loop that only saves memory for gradients."""
    cells = [inner for inner in cells_of(cell) if getattr(inner, "adjoint", False)]
    for inner in cells:
        inner.adjoint = False
    try:
        yield
    finally:
        for inner in cells:
            inner.adjoint = True


class _Recurrent(keras.layers.Layer):
    """Base of both forms: a built RNN layer whose cell, with its weights, they use."""

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
    """An RNN layer's cell on one row, or on the few rows of a step, one after the other.

    Call arguments:
        inputs: (batch, features), or (batch, rows, features).
        states: A flat list of the states (batch, ...).
        elapsed: Elapsed times (batch, 1) or (batch, rows, 1), or None.

    Returns:
        The output of the row, or those of all rows if the layer returns sequences,
        else that of the last; and the flat list of the states after the last row.
    """

    def call(self, inputs, states, elapsed=None):
        if len(inputs.shape) == 2:
            return self._call_cell(inputs, states, elapsed)
        outputs = []
        for row in range(inputs.shape[1]):
            output, states = self._call_cell(
                inputs[:, row], states, None if elapsed is None else elapsed[:, row]
            )
            outputs.append(output)
        return (ops.stack(outputs, axis=1) if self.layer.return_sequences else output), states


class RecurrentSequence(_Recurrent):
    """An RNN layer over a whole sequence of any length, as a loop of built-in operations.

    The converter turns Keras's own loop, which grows a list of outputs, into operations
    that a plain runtime refuses. This one writes each output into its place.

    Call arguments:
        sequences: (batch, time, features).
        elapsed: Elapsed times (batch, time) or (batch, time, 1), or None.

    Returns:
        What the RNN layer returns.
    """

    def call(self, sequences, elapsed=None):
        import tensorflow as tf
        from tensorflow.compiler.tf2xla.ops import gen_xla_ops

        cell, batch = self.layer.cell, tf.shape(sequences)[0]
        advance = self._call_cell
        if elapsed is not None and len(elapsed.shape) == 2:
            elapsed = tf.expand_dims(elapsed, -1)
        if isinstance(cell, ContinuousTimeCell):
            # What depends on the inputs alone is one product over the whole sequence.
            sequences, elapsed = cell.separate_elapsed(sequences, elapsed)
            sequences, advance = cell.project(sequences), cell.advance
        by_time = tf.transpose(sequences, [1, 0, 2])
        has_times = hasattr(elapsed, "shape")
        times = tf.transpose(elapsed, [1, 0, 2]) if has_times else None
        states = keras.tree.flatten(self.layer.get_initial_state(batch_size=1))
        states = [tf.tile(state, [batch] + [1] * (len(state.shape) - 1)) for state in states]
        length = tf.shape(by_time)[0]
        rows = length if self.layer.return_sequences else 1
        written = tf.zeros(tf.stack([rows, batch, cell.output_size]))

        def body(t, written, *states):
            output, states = advance(by_time[t], list(states), times[t] if has_times else elapsed)
            place = [t if self.layer.return_sequences else 0, 0, 0]
            written = gen_xla_ops.xla_dynamic_update_slice(
                input=written, update=output[None], indices=tf.stack(place)
            )
            return t + 1, written, *keras.tree.flatten(states)

        shapes = [tf.TensorShape([]), tf.TensorShape([None, None, cell.output_size])]
        shapes += [tf.TensorShape([None, *state.shape[1:]]) for state in states]
        with _without_adjoints(cell):
            _, written, *states = tf.while_loop(
                lambda t, *_: t < length, body, [0, written, *states], shape_invariants=shapes
            )
        outputs = tf.transpose(written, [1, 0, 2]) if self.layer.return_sequences else written[0]
        return (outputs, *states) if self.layer.return_state else outputs
