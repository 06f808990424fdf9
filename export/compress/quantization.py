"""Quantization-aware training: a model learns with the rounding that a file will do."""

import contextlib

import keras

from export.compress.kernels import KERNEL_NAME, require_tensorflow
from export.forms.rnn_layers import is_rnn, with_cell
from export.forms.supported_layers import as_functional, is_convolution
from lnn_keras import LiquidRNN


def quantize_aware(model: keras.Model) -> keras.Model:
    """A model with the same weights that computes with 8-bit numbers as an int8 file does.

    The kernels of recurrent, Dense and Conv1D layers, the inputs and states of each step of
    a cell, and their outputs pass TFMOT's quantizers; gradients pass them unchanged. Train it
    for a few epochs from a trained model's weights, which it shares, then export it or the
    model itself: `to_tflite` leaves the quantizers out, as `strip` does.

    Args:
        model: A built Sequential or Functional model that `to_step` takes.

    Raises:
        ValueError: What `to_step` refuses; Keras does not run on TensorFlow.

    Reference: Jacob et al., Quantization and training of neural networks for efficient
    integer-arithmetic-only inference, 2018.
    """
    require_tensorflow()
    return keras.models.clone_model(as_functional(model), clone_function=_quantized)


def strip(model: keras.Model) -> keras.Model:
    """The model without quantizers, with the weights as they are now, which it shares.

    Raises:
        ValueError: What `to_step` refuses.
    """
    return as_functional(model)


def _quantized(layer):
    if is_rnn(layer):
        return with_cell(layer, _quantized_cell(layer.cell), (_QuantizedRNN, _QuantizedLiquidRNN))
    if is_convolution(layer) or isinstance(
        layer, (keras.layers.Dense, keras.layers.TimeDistributed)
    ):
        return QuantizedLayer(layer, name=f"{layer.name}_quantized")
    return layer


def _quantized_cell(cell):
    if isinstance(cell, keras.layers.StackedRNNCells):
        return keras.layers.StackedRNNCells([_quantized_cell(inner) for inner in cell.cells])
    return QuantizedCell(cell)


class _Quantizers:
    """TFMOT's quantizers of one layer, and their ranges as its weights."""

    def __init__(self, owner: keras.layers.Layer):
        import tensorflow  # noqa: F401 - TFMOT, imported first, turns `tf.keras` into Keras 2
        from tensorflow_model_optimization.python.core.quantization.keras import quantizers

        self._owner, self._library = owner, quantizers
        self._built = {}

    def add_weight(self, name, shape=(), initializer=None, trainable=False):
        """A range, as TFMOT asks its layer for it; empty, whatever TFMOT starts it with."""
        shape = (shape,) if isinstance(shape, int) else shape or ()
        return self._owner.add_weight(
            name=name, shape=shape, initializer="zeros", trainable=trainable
        ).value

    def build(self, tensors: int, kernels: list[keras.Variable]) -> None:
        """Make the ranges of a number of activations, and of kernels."""
        for index in range(tensors):
            self._add(
                index,
                f"activation_{index}",
                None,
                # Least and greatest of all values, as the converter calibrates. TFMOT's moving
                # average starts at -6 to 6, and leaves that too slowly for a few epochs.
                self._library.AllValuesQuantizer(
                    num_bits=8, per_axis=False, symmetric=False, narrow_range=False
                ),
            )
        for index, kernel in enumerate(kernels):
            # The converter gives each unit of a matrix a scale of its own.
            self._add(
                id(kernel),
                f"kernel_{index}",
                kernel.shape,
                self._library.LastValueQuantizer(
                    num_bits=8, per_axis=len(kernel.shape) > 1, symmetric=True, narrow_range=True
                ),
            )

    def _add(self, key, name, shape, quantizer):
        self._built[key] = quantizer, quantizer.build(shape, name, self)

    def __call__(self, key, values, training):
        """Values, rounded to 8 bits in the range that is known of them, if there is one."""
        quantizer, ranges = self._built[key]
        rounded = quantizer(values, training=training, weights=ranges)
        known = ranges["max_var"] > ranges["min_var"]
        return keras.ops.where(known, rounded, values)

    def _of_matrix(self, kernel, training):
        # TFMOT takes scales of units for matrices; a convolution is one of its rows.
        matrix = keras.ops.reshape(kernel.value, (-1, kernel.shape[-1]))
        matrix = matrix if len(kernel.shape) > 1 else kernel.value
        return keras.ops.reshape(self(id(kernel), matrix, training), kernel.shape)

    @contextlib.contextmanager
    def rounded(self, kernels: list[keras.Variable], layer, training):
        """Within the block, a layer reads its kernels rounded."""
        mapping = [(kernel, self._of_matrix(kernel, training)) for kernel in kernels]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            yield
        # What the layer itself has updated, such as the seeds of its dropout.
        for variable in layer.non_trainable_variables:
            value = scope.get_current_value(variable)
            if value is not None:
                variable.assign(value)


def _kernels(layer):
    return [v for v in layer.trainable_variables if KERNEL_NAME.search(v.name)]


@keras.saving.register_keras_serializable(package="lnn_export")
class QuantizedLayer(keras.layers.Wrapper):
    """A layer whose kernels and outputs are rounded to 8 bits.

    Args:
        layer: A layer that keeps no state over time.
    """

    def build(self, input_shape=None):
        super().build(input_shape)
        self._kernels = _kernels(self.layer)
        self._quantizers = _Quantizers(self)
        self._quantizers.build(1, self._kernels)

    def call(self, inputs, training=False):
        with self._quantizers.rounded(self._kernels, self.layer, training):
            outputs = self.layer(inputs)
        return self._quantizers(0, outputs, training)

    @property
    def exported(self):
        """The layer without quantizers."""
        return self.layer


@keras.saving.register_keras_serializable(package="lnn_export")
class QuantizedCell(keras.layers.Layer):
    """A cell whose kernels, inputs, states and outputs are rounded to 8 bits, step by step.

    Args:
        cell: Any RNN cell.
    """

    def __init__(self, cell, **kwargs):
        super().__init__(**kwargs)
        self.cell = cell
        self.state_size, self.output_size = cell.state_size, cell.output_size
        self.training = False  # set by the layer that drives it, which knows

    @property
    def exported(self):
        """The cell without quantizers."""
        return self.cell

    @property
    def elapsed(self):
        """The cell's own elapsed time."""
        return self.cell.elapsed

    def build(self, input_shape):
        if not self.cell.built:
            self.cell.build(input_shape)
        self._kernels = _kernels(self.cell)
        self._quantizers = _Quantizers(self)
        # Inputs, output, and each state.
        self._quantizers.build(2 + len(keras.tree.flatten(self.state_size)), self._kernels)
        self.built = True

    def call(self, inputs, states, training=False):
        inputs = self._quantizers(0, inputs, self.training)
        return self._stepped(lambda states: self.cell(inputs, states, training=training), states)

    def separate_elapsed(self, inputs, elapsed=None):
        return self.cell.separate_elapsed(inputs, elapsed)

    def project(self, inputs):
        inputs = self._quantizers(0, inputs, self.training)
        with self._rounded():
            return self.cell.project(inputs)

    def advance(self, projected, states, elapsed):
        return self._stepped(lambda states: self.cell.advance(projected, states, elapsed), states)

    def get_initial_state(self, batch_size=None):
        return self.cell.get_initial_state(batch_size=batch_size)

    def get_config(self):
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config):
        cell = keras.saving.deserialize_keras_object(config.pop("cell"))
        return cls(cell, **config)

    def _stepped(self, step, states):
        flat = [
            self._quantizers(index, state, self.training)
            for index, state in enumerate(keras.tree.flatten(states), start=2)
        ]
        with self._rounded():
            output, states = step(keras.tree.pack_sequence_as(states, flat))
        return self._quantizers(1, output, self.training), states

    def _rounded(self):
        return self._quantizers.rounded(self._kernels, self.cell, self.training)


class _Driven:
    """Tells the cells whether they train, which no argument of `advance` does."""

    def inner_loop(self, sequences, initial_state, mask, training=False):
        cells = getattr(self.cell, "cells", [self.cell])
        for cell in cells:
            cell.training = bool(training)
        try:
            return super().inner_loop(sequences, initial_state, mask, training)
        finally:
            for cell in cells:
                cell.training = False


@keras.saving.register_keras_serializable(package="lnn_export")
class _QuantizedRNN(_Driven, keras.layers.RNN):
    """`keras.layers.RNN` of quantized cells."""


@keras.saving.register_keras_serializable(package="lnn_export")
class _QuantizedLiquidRNN(_Driven, LiquidRNN):
    """`LiquidRNN` of a quantized cell."""
