"""How each call of a graph acts on time, which decides whether the model has a step form.

A layer needs no state if each row of its result depends only on the same row of its inputs. This
is measured: the layer is called on random sequences, and on each of their rows.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from export.forms.model_graph import Call, ModelGraph, Value, replace_values, values_of
from export.forms.refusals import (
    ON_PHONES,
    NoStepFormError,
    refuse,
    require_layers_within,
    require_rnn_step,
)
from export.forms.rnn_layers import cells_of, is_rnn
from lnn_keras import EachStep
from lnn_keras.elapsed import LAST_FEATURE

EACH_STEP = {EachStep, keras.layers.TimeDistributed}

# Lengths of the random sequences. A result has a time axis if its size follows both.
_LENGTHS = (7, 5)
_TOLERANCE = 1e-5


class Action(enum.Enum):
    """How a call acts on the time axis of its inputs."""

    RECURRENT = "reads the past through its states"
    CONVOLUTION = "reads a fixed number of past rows"
    EACH_ROW = "acts on each row independently, also on rows without a time axis"
    EACH_STEP = "acts on each row independently, and needs the time axis"
    LAST_ROW = "returns the last row"
    OF_LAST_ROW = "computes from the last row"
    NO_TIME = "reads no sequence"


@dataclass(frozen=True)
class TimeAxis:
    """The actions of a graph's calls, and which of its tensors are sequences.

    Attributes:
        actions: By `id` of a call.
        strides: By `id` of a tensor: input rows per row, or None for a tensor without time axis.
        rows: Input rows per step: the product of the strides up to the outputs.
        length: Number of rows of the model's inputs if it is fixed, or None.
    """

    actions: dict[int, Action]
    strides: dict[int, int | None]
    rows: int
    length: int | None

    def is_sequence(self, value: Value) -> bool:
        """Return whether a tensor has a time axis."""
        return self.strides[id(value)] is not None


def read_time_axis(graph: ModelGraph) -> TimeAxis:
    """Find how the calls of a graph act on time.

    Raises:
        NoStepFormError: A layer has no form for a single time step; the message names it.
    """
    elapsed = _elapsed_inputs(graph)
    strides: dict[int, int | None] = {}
    for name, value in graph.inputs.items():
        if not _is_sequence_input(value, elapsed):
            raise NoStepFormError(
                f"Input {name!r} of shape {value.shape} has no time axis; inputs of a step must be "
                "(batch, time, features), or (batch, time) for elapsed times. Give it as features "
                f"of each time step. {ON_PHONES}."
            )
        strides[id(value)] = 1
    lengths = sorted({value.shape[1] for value in graph.inputs.values()} - {None}, key=str)
    if len(lengths) > 1:
        raise NoStepFormError(
            f"The inputs have different lengths: {lengths}; a step takes one row of each. Give all "
            f"inputs one length, or None. {ON_PHONES}."
        )
    actions = {}
    for call in graph.calls:
        action, stride = _read_call(call, strides)
        actions[id(call)] = action
        for position, value in enumerate(call.outputs):
            # The states that an RNN layer returns have no time axis.
            is_state = action is Action.RECURRENT and position > 0
            strides[id(value)] = None if is_state else stride
    length = next(iter(lengths), None)
    rows = _rows_per_step(graph, strides)
    if length is not None and length % rows:
        raise NoStepFormError(
            f"The model's {length} rows are not a multiple of its strides, {rows}; the last step "
            "would be incomplete."
        )
    return TimeAxis(actions, strides, rows, length)


def takes_elapsed(graph: ModelGraph) -> bool:
    """Return whether an input of a graph holds elapsed times, which are never negative."""
    if any(len(value.shape) == 2 for value in graph.inputs.values()):
        return True
    return any(
        is_rnn(call.layer)
        and (len(call.inputs) > 1 or LAST_FEATURE in _elapsed_arguments(call.layer))
        for call in graph.calls
    )


def _elapsed_arguments(layer):
    return [cell.elapsed for cell in cells_of(layer.cell) if hasattr(cell, "elapsed")]


def is_convolution(layer: Any) -> bool:
    """Return whether a layer reads a fixed number of past rows."""
    return type(layer) is keras.layers.Conv1D


def _read_call(call: Call, strides) -> tuple[Action, int | None]:
    """The action of a call, and the stride of its results."""
    inputs = call.inputs
    of_inputs = {strides[id(value)] for value in inputs}
    if of_inputs <= {None}:
        if is_rnn(call.layer) or isinstance(call.layer, keras.layers.Bidirectional):
            raise NoStepFormError(
                f"{call.described} runs over a sequence that the model makes, within one time "
                f"step. {ON_PHONES}."
            )
        return Action.NO_TIME, None
    refuse(call)
    if len(of_inputs - {None}) > 1:
        raise NoStepFormError(
            f"{call.described} joins tensors that have passed different strides: "
            f"{sorted(of_inputs - {None})}, so their rows do not align within a step."
        )
    stride = next(iter(of_inputs - {None}))
    if is_rnn(call.layer):
        sequence = require_rnn_step(call)
        if strides[id(sequence)] is None:
            raise NoStepFormError(f"{call.described} reads a tensor that is no sequence over time.")
        return Action.RECURRENT, stride if call.layer.return_sequences else None
    if None in of_inputs:
        raise NoStepFormError(
            f"{call.described} joins a sequence with a tensor that has no time axis, which is "
            "known only after the last step. Use the last step of both, x[:, -1], or sequences."
        )
    if is_convolution(call.layer):
        return Action.CONVOLUTION, stride * call.layer.strides[0]
    action = _probe(call)
    return action, None if action in (Action.LAST_ROW, Action.OF_LAST_ROW) else stride


def _rows_per_step(graph, strides):
    of_outputs = {strides[id(value)] or _largest(strides) for value in graph.outputs.values()}
    if len(of_outputs) > 1:
        raise NoStepFormError(
            f"The outputs have passed different strides: {sorted(of_outputs)}, but a step returns "
            "one row of each output. Export one model per stride."
        )
    return of_outputs.pop()


def _largest(strides):
    return max(stride or 1 for stride in strides.values())


def _is_sequence_input(value, elapsed):
    if len(value.shape) == 2:
        return value.shape[1] is None or id(value) in elapsed
    return len(value.shape) > 2


def _elapsed_inputs(graph) -> set[int]:
    """Tensors that elapsed times of an RNN layer depend on, by `id`."""
    needed: set[int] = set()
    for call in reversed(graph.calls):
        if any(id(value) in needed for value in call.outputs):
            needed.update(map(id, call.inputs))
        if is_rnn(call.layer):
            needed.update(map(id, values_of(call.kwargs.get("elapsed"))))
    return needed


def _probe(call: Call) -> Action:
    """Compare a layer on random sequences with the layer on their rows."""
    if type(call.layer) in EACH_STEP:
        require_layers_within(call.layer)
        return Action.EACH_ROW
    random = np.random.default_rng(0)
    trials = [
        {id(value): _draw(random, value, length) for value in call.inputs} for length in _LENGTHS
    ]
    # Variables that a layer writes to keep their values.
    with keras.StatelessScope():
        if all(_acts_on_each_row(call, sequences) for sequences in trials):
            ranks = {len(value.shape) for value in call.inputs}
            if 2 not in ranks and all(_acts_without_time_axis(call, s) for s in trials):
                return Action.EACH_ROW
            return Action.EACH_STEP
        if all(_returns_last_row(call, sequences) for sequences in trials):
            return Action.LAST_ROW
        if all(_reads_last_row(call, sequences) for sequences in trials):
            return Action.OF_LAST_ROW
        _require_call(call, trials[0])
    raise NoStepFormError(
        f"{call.described} looks at several time steps at once, but a device receives one at a "
        "time. Use layers that act on each step, the last step x[:, -1], or causal convolutions. "
        f"{ON_PHONES}."
    )


def _draw(random, value, length):
    """A random sequence (1, length, ...) for a tensor."""
    shape = (1, length) if len(value.shape) == 2 else (1, length, *value.row_shape)
    return random.standard_normal(shape).astype("float32")


def _run(call, sequences: dict[int, np.ndarray], rows: Callable[[np.ndarray], np.ndarray]) -> Any:
    """The results on some rows of the sequences, or None if the layer does not take them."""
    import tensorflow as tf

    args, kwargs = replace_values(
        (call.args, call.kwargs),
        lambda value: tf.cast(rows(sequences[id(value)]), _float_or_bool(value.dtype)),
    )
    try:
        results = call.layer(*args, **kwargs)
    except Exception:
        return None
    return [np.asarray(keras.ops.convert_to_numpy(value)) for value in keras.tree.flatten(results)]


def _float_or_bool(dtype):
    return "bool" if dtype == "bool" else "float32"


def _require_call(call, sequences):
    """Raise a `NoStepFormError` if a layer cannot be called on sequences of another length."""
    if _run(call, sequences, lambda x: x) is not None:
        return
    length = next(iter(sequences.values())).shape[1]
    raise NoStepFormError(
        f"{call.described} takes no float32 sequences of {length} time steps, so it cannot act on "
        f"each step. {ON_PHONES}."
    )


def _acts_on_each_row(call, sequences):
    whole = _run(call, sequences, lambda x: x)
    if whole is None:
        return False
    length = next(iter(sequences.values())).shape[1]
    if any(result.ndim < 2 or result.shape[1] != length for result in whole):
        return False
    for t in range(length):
        row = _run(call, sequences, lambda x, t=t: x[:, t : t + 1])
        if row is None or not _equal([result[:, t : t + 1] for result in whole], row, whole):
            return False
    return True


def _acts_without_time_axis(call, sequences):
    whole = _run(call, sequences, lambda x: x)
    without = _run(call, sequences, lambda x: x[:, 0])
    return without is not None and _equal([result[:, 0] for result in whole], without, whole)


def _returns_last_row(call, sequences):
    whole = _run(call, sequences, lambda x: x)
    return whole is not None and _equal(whole, [x[:, -1] for x in sequences.values()])


def _reads_last_row(call, sequences):
    whole, last = (_run(call, sequences, rows) for rows in (lambda x: x, lambda x: x[:, -1:]))
    return whole is not None and last is not None and _equal(whole, last)


def _equal(results, others, whole=None):
    """Whether arrays are equal but for the rounding of sums, and NaN in the same places.

    Rounding is relative to the results of all rows: one value can be a small difference of large
    terms.
    """
    whole = results if whole is None else whole
    return len(results) == len(others) == len(whole) and all(
        a.shape == b.shape
        and np.allclose(a, b, 0, _TOLERANCE * _largest_magnitude(all_rows), equal_nan=True)
        for a, b, all_rows in zip(results, others, whole, strict=True)
    )


def _largest_magnitude(values):
    finite = np.abs(values[np.isfinite(values)])
    return finite.max(initial=np.finfo("float32").tiny)
