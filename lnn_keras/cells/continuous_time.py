"""ContinuousTimeCell: the protocol of all cells, `project` followed by `advance`."""

from collections.abc import Sequence
from typing import Any

import keras

from lnn_keras import elapsed as elapsed_time
from lnn_keras.compat import DropoutRNNCell, weights_as
from lnn_keras.tensors import Tensor, ops

# Finite inputs beyond these are replaced by them, so that products and sums of inputs are finite.
LARGEST_INPUT, LARGEST_HALF_INPUT = 1e15, 1e4


class ContinuousTimeCell(keras.layers.Layer, DropoutRNNCell):
    """Base class of the cells: a Keras RNN cell that advances its state by an elapsed time.

    `call` is `project`, which depends on the inputs only, followed by `advance`. `LiquidRNN`
    projects a whole sequence at once and then scans `advance`. In half precision, `project`
    computes in it and `advance` in float32, with float32 weights: elapsed times and solver steps
    need its range. `keras.layers.RNN` of half precision rounds an elapsed time that is the last
    feature; `keras.layers.RNN(cell, dtype="float32")` does not.

    Integer inputs are taken as floats. Finite inputs beyond 1e15, in float16 beyond 1e4, count as
    these; an elapsed time beyond 1e15 counts as 1e15.

    Args:
        state_size: Size of the state, or a list with the size of each state.
        output_size: Size of the output.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: The state (batch, state_size), or a list of all states.
        elapsed: Optional elapsed time that replaces the cell's own: a number, (batch,) or
            (batch, 1).
        training: Whether to apply dropout, with one mask per sequence.

    Returns:
        The output (batch, output_size), and the list of the new states.

    Raises:
        ValueError: `elapsed` is invalid, or given both as a feature and as a call argument. In a
            compiled graph, which cannot raise, the output of a step with an invalid elapsed time
            is NaN, and the time counts as 0.

    Attributes:
        dropout: Fraction of the input features that `call` drops in training.
        recurrent_dropout: Fraction of the state that `advance` drops in training, where the
            state enters a recurrent product.
        seed_generator: Generator of the dropout masks; required if a rate is above 0.
    """

    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    seed_generator: keras.random.SeedGenerator | None = None

    def __init__(
        self,
        state_size: int | Sequence[int],
        output_size: int,
        elapsed: float | str = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.state_size: Any = state_size
        self.output_size = output_size
        self.elapsed = elapsed_time.validate(elapsed)
        self._feature_count: int | None = None

    @property
    def input_dtype(self) -> str:
        """The dtype of inputs before they are projected: elapsed times need float32."""
        return step_dtype(self)

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """`keras.layers.Layer.add_weight`; half precision gets its initial values from float32."""
        # Backends lack the decomposition of orthogonal initial values in half precision.
        initializer = kwargs.get("initializer")
        if initializer is not None and self.variable_dtype in ("float16", "bfloat16"):
            kwargs["initializer"] = _in_float32(keras.initializers.get(initializer))
        return super().add_weight(*args, **kwargs)

    def features_of(self, input_shape: tuple[int | None, ...]) -> int:
        """The number of data features in inputs of this shape, without the elapsed time.

        Raises:
            ValueError: There is no data feature.
        """
        size = input_shape[-1] or 0
        timed = self.elapsed == elapsed_time.LAST_FEATURE
        features = size - 1 if timed else size
        if features < 1:
            besides = " in addition to the elapsed time" if timed and size else ""
            raise ValueError(
                f"{type(self).__name__} {self.name!r} needs at least one input feature{besides}; "
                f"received inputs of shape {tuple(input_shape)}."
            )
        self._feature_count = features
        return features

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The part of a step that depends on the inputs only: (..., features) -> (..., size).

        Dropout of the inputs is applied before this call.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `project`.")

    def constants(
        self, elapsed: float | None = None, recurrent_mask: Tensor | None = None
    ) -> list[Tensor]:
        """Tensors for `advance` that are the same for all steps, computed once per sequence.

        Args:
            elapsed: The elapsed time of all steps, or None if it differs between steps.
            recurrent_mask: Dropout mask of the state (batch, size), or None.
        """
        return [] if recurrent_mask is None else [recurrent_mask]

    def advance(
        self,
        projected: Tensor,
        states: Any,
        elapsed: float | Tensor,
        constants: Sequence[Tensor] | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """Advance the states by one step.

        Args:
            projected: Result of `project` for this step (batch, size).
            states: The state (batch, state_size), or a list of all states.
            elapsed: Elapsed time, a number or (batch, 1).
            constants: Result of `constants`, or None to compute it here, without dropout.
            training: Whether the step is part of a training.

        Returns:
            The output (batch, output_size), and the list of the new states.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `advance`.")

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """Gates, time constants and other quantities of a step, for `lnn_keras.inspect.record`.

        They are those of the equation in the docstring of the cell, at the states before the step.

        Args:
            features: Data features of this step (batch, features), without the elapsed time.
            states: The state (batch, state_size), or a list of all states.
            elapsed: Elapsed time, a number or (batch, 1).

        Returns:
            Tensors (batch, ...) by name; none by default.
        """
        return {}

    def separate_elapsed(
        self, inputs: Tensor, elapsed: float | Tensor | None = None
    ) -> tuple[Tensor, float | Tensor]:
        """Return the data features of `inputs`, and the elapsed time to advance by.

        Args:
            inputs: Tensor (..., features), with elapsed time as the last feature if the cell
                has elapsed="last_feature".
            elapsed: Elapsed time from the caller, or None for the cell's own.

        Raises:
            ValueError: `elapsed` is invalid, or given both as a feature and as an argument.
        """
        if self.elapsed != elapsed_time.LAST_FEATURE:
            if elapsed is None:
                return inputs, self.elapsed
            elapsed_time.require_valid(elapsed)
            return inputs, elapsed
        if elapsed is not None:
            raise ValueError(
                f"{type(self).__name__} {self.name!r} takes elapsed time from the last feature; "
                "`elapsed` was given to the call as well. Give it in one way."
            )
        features, elapsed = elapsed_time.split(inputs)
        elapsed_time.require_valid(elapsed)
        return features, elapsed

    def call(
        self,
        inputs: Tensor,
        states: Any,
        elapsed: float | Tensor | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        dtype = step_dtype(self)
        features, elapsed = self.separate_elapsed(inputs, elapsed)
        if len(getattr(elapsed, "shape", ())) == 1:
            elapsed = ops.expand_dims(elapsed, -1)
        elapsed, valid = elapsed_time.refuse_invalid(elapsed, dtype)
        features = ops.cast(bounded(features, self.compute_dtype), self.compute_dtype)
        if training and self.dropout:
            features = features * ops.cast(self.get_dropout_mask(features), features.dtype)
        with weights_as(self.compute_dtype):
            projected = self.project(features, training=training)
        projected, states = ops.cast(projected, dtype), _cast_states(states, dtype)
        constants = None
        with weights_as(dtype):
            if training and self.recurrent_dropout:
                mask = self.get_recurrent_dropout_mask(first_state(states))
                constants = self.constants(recurrent_mask=ops.cast(mask, dtype))
            output, states = self.advance(projected, states, elapsed, constants, training=training)
        if valid is not None:
            output = ops.where(valid, output, float("nan"))
        return ops.cast(output, self.compute_dtype), _cast_states(states, self.compute_dtype)

    def get_dropout_mask(self, step_input: Tensor) -> Tensor | None:
        """The mask of the data features (batch, features), cached until the RNN layer resets it."""
        # Elapsed time may follow the features; it is never dropped.
        return super().get_dropout_mask(step_input[..., : self._feature_count])

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        return [
            ops.zeros((batch_size, size), dtype=self.compute_dtype)
            for size in as_list(self.state_size)
        ]

    def save_own_variables(self, store: Any) -> None:
        own = {}
        super().save_own_variables(own)
        for number, weight in own.items():
            store[f"{type(self).__name__}.{number}"] = weight

    def load_own_variables(self, store: Any) -> None:
        """Load weights of the same class; another class may differ in its equation only."""
        own, names = {}, store.keys()
        for name in names:
            owner, _, number = name.rpartition(".")
            if owner != type(self).__name__:
                raise ValueError(
                    f"{self.name!r} is a {type(self).__name__} and loads only weights of that "
                    f"class; received weights of {owner or 'another layer'}."
                )
            own[number] = store[name]
        super().load_own_variables(own)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "elapsed": self.elapsed}


def first_state(states: Any) -> Tensor:
    """The first state of a tensor or a list of states."""
    return states[0] if isinstance(states, (list, tuple)) else states


def as_list(state_size: Any) -> list[int]:
    """The sizes of all states as a list."""
    return list(state_size) if isinstance(state_size, (list, tuple)) else [state_size]


def masked(state: Tensor, mask: Tensor | None = None) -> Tensor:
    """The state times a dropout mask, if there is one."""
    return state if mask is None else state * mask


def _in_float32(initializer: Any) -> Any:
    return lambda shape, dtype=None: ops.cast(initializer(shape, dtype="float32"), dtype)


def step_dtype(cell: Any) -> str:
    """The dtype of a cell's steps: its compute dtype, or float32 where that is half precision."""
    return keras.backend.result_type(cell.compute_dtype, "float32")


def largest_input(dtype: str) -> float:
    """The limit of finite inputs for a compute dtype."""
    return LARGEST_HALF_INPUT if dtype == "float16" else LARGEST_INPUT


def bounded(inputs: Tensor, dtype: str) -> Tensor:
    """Inputs within the limits of a compute dtype; NaN and infinite ones stay as they are."""
    largest = largest_input(dtype)
    inputs = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    if elapsed_time.in_device_file():
        return inputs
    return ops.where(ops.isfinite(inputs), ops.clip(inputs, -largest, largest), inputs)


def _cast_states(states: Any, dtype: str) -> list[Tensor]:
    states = list(states) if isinstance(states, (list, tuple)) else [states]
    return [ops.cast(state, dtype) for state in states]
