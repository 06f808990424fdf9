"""Layers and cells that compute with the 8-bit rounding of an int8 file."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

from export import compat
from export.compress.kernels import initial_states, kernels_of_cell, kernels_of_layer
from lnn_keras.compat import DropoutRNNCell
from lnn_keras.layers.cell_step import accepts, with_training

Tensor = Any


class _Quantizers:
    """TFMOT's quantizers of one layer, with their ranges as weights of that layer."""

    def __init__(self, owner: keras.layers.Layer):
        quantizers = compat.tfmot_quantizers()

        self._owner, self._library = owner, quantizers
        self._by_key = {}

    def add_weight(
        self, name: str, shape: Any = (), initializer: Any = None, trainable: bool = False
    ) -> Tensor:
        """Create a range limit. TFMOT calls this; its initial values are replaced by zeros."""
        shape = (shape,) if isinstance(shape, int) else shape or ()
        return self._owner.add_weight(
            name=name, shape=shape, initializer="zeros", trainable=trainable
        ).value

    def build(self, tensors: int, kernels: list[keras.Variable]) -> None:
        """Create the ranges of a number of activations, and of kernels."""
        for index in range(tensors):
            self._add(
                index,
                f"activation_{index}",
                None,
                # Minimum and maximum of all values, as the converter calibrates. TFMOT's moving
                # average starts at -6 to 6, and leaves that too slowly for a few epochs.
                self._library.AllValuesQuantizer(
                    num_bits=8, per_axis=False, symmetric=False, narrow_range=False
                ),
            )
        for index, kernel in enumerate(kernels):
            # The converter quantizes matrices per output channel.
            self._add(
                id(kernel),
                f"kernel_{index}",
                kernel.shape,
                self._library.LastValueQuantizer(
                    num_bits=8, per_axis=len(kernel.shape) > 1, symmetric=True, narrow_range=True
                ),
            )

    def _add(self, key, name, shape, quantizer):
        self._by_key[key] = quantizer, quantizer.build(shape, name, self)

    def __call__(self, key: int, values: Tensor, training: bool) -> Tensor:
        """Round values to 8 bits in their range; unchanged while the range is empty."""
        quantizer, limits = self._by_key[key]
        rounded = quantizer(values, training=training, weights=limits)
        has_range = limits["max_var"] > limits["min_var"]
        return keras.ops.where(has_range, rounded, values)

    def _rounded_kernel(self, kernel, training):
        # TFMOT has scales per channel for matrices only, so a convolution is reshaped to one.
        matrix = keras.ops.reshape(kernel.value, (-1, kernel.shape[-1]))
        matrix = matrix if len(kernel.shape) > 1 else kernel.value
        return keras.ops.reshape(self(id(kernel), matrix, training), kernel.shape)

    @contextlib.contextmanager
    def rounded(
        self, kernels: list[keras.Variable], layer: keras.layers.Layer, training: bool
    ) -> Iterator[None]:
        """Within this context, the layer reads its kernels rounded."""
        mapping = [(kernel, self._rounded_kernel(kernel, training)) for kernel in kernels]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            yield
        # Variables that the layer itself has updated: the seeds of its dropout, for instance.
        for variable in layer.non_trainable_variables:
            value = scope.get_current_value(variable)
            if value is not None:
                variable.assign(value)


@keras.saving.register_keras_serializable(package="lnn_export")
class QuantizedLayer(keras.layers.Wrapper):
    """A layer with its kernels and outputs rounded to 8 bits.

    Args:
        layer: A layer that keeps no state over time.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.supports_masking = self.layer.supports_masking
        self._kernels = kernels_of_layer(self.layer, input_shape)
        self._quantizers = _Quantizers(self)
        self._quantizers.build(1, self._kernels)

    def call(self, inputs: Tensor, training: bool = False, mask: Tensor | None = None) -> Tensor:
        masked = {"mask": mask} if accepts(self.layer.call, "mask") else {}
        with self._quantizers.rounded(self._kernels, self.layer, training):
            outputs = self.layer(inputs, **masked)
        return self._quantizers(0, outputs, training)

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor | None = None) -> Tensor | None:
        return self.layer.compute_mask(inputs, previous_mask)

    @property
    def exported(self) -> keras.layers.Layer:
        """The layer without quantizers."""
        return self.layer


@keras.saving.register_keras_serializable(package="lnn_export")
class QuantizedCell(DropoutRNNCell, keras.layers.Layer):
    """A cell with its kernels, inputs, states and outputs rounded to 8 bits in every step.

    Args:
        cell: An RNN cell of Keras or of `lnn_keras`.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, cell: Any, **kwargs):
        super().__init__(**kwargs)
        self.cell = cell
        self.state_size = cell.state_size
        # Without one, Keras takes the first state as the output.
        self.output_size = getattr(cell, "output_size", None)

    @property
    def exported(self) -> Any:
        """The cell without quantizers."""
        return self.cell

    @property
    def elapsed(self) -> float | str:
        """The elapsed time of the cell."""
        return self.cell.elapsed

    def build(self, input_shape: Any) -> None:
        if not self.cell.built:
            self.cell.build(input_shape)
        self._kernels = kernels_of_cell(self.cell, input_shape)
        self._quantizers = _Quantizers(self)
        # Inputs, output, and each state.
        self._quantizers.build(2 + len(keras.tree.flatten(self.state_size)), self._kernels)
        self.built = True

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, Any]:
        inputs = self._quantizers(0, inputs, training)
        return self._rounded_step(
            lambda states: self.cell(inputs, states, training=training), states, training
        )

    def separate_elapsed(self, inputs: Tensor, elapsed: Any = None) -> tuple[Tensor, Any]:
        return self.cell.separate_elapsed(inputs, elapsed)

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        inputs = self._quantizers(0, inputs, training)
        with self._rounded_kernels(training):
            return with_training(self.cell.project, training)(inputs)

    def constants(self, elapsed: Any = None, recurrent_mask: Tensor | None = None) -> list[Tensor]:
        """The dropout mask only: the cell's constants must come from rounded kernels."""
        return [] if recurrent_mask is None else [recurrent_mask]

    def advance(
        self,
        projected: Tensor,
        states: list[Tensor],
        elapsed: Any,
        constants: list[Tensor] | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        advance = with_training(self.cell.advance, training)

        def step(states):
            if not constants:
                return advance(projected, states, elapsed)
            own = self.cell.constants(None, recurrent_mask=constants[0])
            return advance(projected, states, elapsed, constants=own)

        return self._rounded_step(step, states, training)

    def get_initial_state(self, batch_size: Any = None) -> Any:
        return initial_states(self.cell, batch_size)

    def get_dropout_mask(self, step_input: Tensor) -> Tensor | None:
        return self.cell.get_dropout_mask(step_input) if self._has_dropout else None

    def get_recurrent_dropout_mask(self, step_input: Tensor) -> Tensor | None:
        return self.cell.get_recurrent_dropout_mask(step_input) if self._has_dropout else None

    def reset_dropout_mask(self) -> None:
        if self._has_dropout:
            self.cell.reset_dropout_mask()

    def reset_recurrent_dropout_mask(self) -> None:
        if self._has_dropout:
            self.cell.reset_recurrent_dropout_mask()

    @property
    def _has_dropout(self):
        return isinstance(self.cell, DropoutRNNCell)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "QuantizedCell":
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})

    def _rounded_step(self, step: Callable, states: Any, training: bool) -> tuple[Tensor, Any]:
        rounded = [
            self._quantizers(index, state, training)
            for index, state in enumerate(keras.tree.flatten(states), start=2)
        ]
        with self._rounded_kernels(training):
            output, states = step(keras.tree.pack_sequence_as(states, rounded))
        return self._quantizers(1, output, training), states

    def _rounded_kernels(self, training):
        return self._quantizers.rounded(self._kernels, self.cell, training)
