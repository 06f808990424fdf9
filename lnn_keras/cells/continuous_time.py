"""ContinuousTimeCell: the protocol of all cells: project, then advance by an elapsed time."""

import keras
from keras import ops

from lnn_keras import elapsed as elapsed_time


class ContinuousTimeCell(keras.layers.Layer):
    """Base of the cells: a Keras RNN cell whose step has a length, the elapsed time.

    `call` is `project`, what depends on the inputs alone, followed by `advance`, so
    that a driver may project a whole sequence at once and scan `advance` alone, as
    `LiquidRNN` does.

    Args:
        state_size: Size of the state, or a list of sizes.
        output_size: Size of the output.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature": the last input feature is the elapsed time, not data.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: The state (batch, state_size), or a list of all states.
        elapsed: Optional, instead of the cell's own: a number, (batch,) or (batch, 1).

    Returns:
        The output (batch, output_size), and the list of the new states.

    Raises:
        ValueError: `elapsed` of another form, or given both as a feature and to the call;
            elapsed times that are negative or not finite, where they are at hand as numbers.
    """

    def __init__(self, state_size, output_size: int, elapsed: float | str = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.state_size = state_size
        self.output_size = output_size
        self.elapsed = elapsed_time.validate(elapsed)

    def features_of(self, input_shape) -> int:
        """The number of data features in inputs of this shape, which must be at least 1."""
        features = input_shape[-1]
        if self.elapsed == elapsed_time.LAST_FEATURE:
            features -= 1
        if features < 1:
            beside = " beside the elapsed time" if input_shape[-1] else ""
            raise ValueError(
                f"{type(self).__name__} {self.name!r} needs at least one input feature{beside}; "
                f"received inputs of shape {tuple(input_shape)}."
            )
        return features

    def project(self, inputs):
        """What depends on the inputs alone: (..., features) -> (..., any size)."""
        raise TypeError(f"{type(self).__name__} must define `project`.")

    def constants(self, elapsed=None) -> list:
        """What steps need of the weights alone, as tensors, for a driver to compute once.

        `advance` takes them from a driver that has them; where there are none, it is not asked to.

        Args:
            elapsed: The elapsed time of all steps, a number, or None if they differ.
        """
        return []

    def advance(self, projected, states, elapsed, constants=None):
        """Step over `elapsed` (a number or (batch, 1)): -> (output, new states)."""
        raise TypeError(f"{type(self).__name__} must define `advance`.")

    def separate_elapsed(self, inputs, elapsed=None):
        """Return the data features of `inputs`, and the elapsed time to advance by.

        Args:
            inputs: Tensor (..., features), with elapsed time behind them or not.
            elapsed: Elapsed time given by the caller, or None for the cell's own.
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

    def call(self, inputs, states, elapsed=None, training=False):
        features, elapsed = self.separate_elapsed(inputs, elapsed)
        if len(getattr(elapsed, "shape", ())) == 1:
            elapsed = ops.expand_dims(elapsed, -1)
        return self.advance(self.project(features), states, elapsed)

    def get_initial_state(self, batch_size=None):
        return [
            ops.zeros((batch_size, size), dtype=self.compute_dtype)
            for size in as_list(self.state_size)
        ]

    def save_own_variables(self, store):
        own = {}
        super().save_own_variables(own)
        for number, weight in own.items():
            store[f"{type(self).__name__}.{number}"] = weight

    def load_own_variables(self, store):
        """Load what a cell of this class has saved; others may differ in the equation alone."""
        own, names = {}, store.keys()
        for name in names:
            owner, _, number = name.rpartition(".")
            if owner != type(self).__name__:
                raise ValueError(
                    f"The weights are those of {owner or 'another layer'}; {self.name!r} is "
                    f"a {type(self).__name__} and takes weights of that cell only."
                )
            own[number] = store[name]
        super().load_own_variables(own)

    def get_config(self):
        return {**super().get_config(), "elapsed": self.elapsed}


def first_state(states):
    """The state of a cell that has one, given alone or in a list."""
    return states[0] if isinstance(states, (list, tuple)) else states


def as_list(state_size) -> list[int]:
    """The sizes of all states, of a cell's `state_size`."""
    return list(state_size) if isinstance(state_size, (list, tuple)) else [state_size]
