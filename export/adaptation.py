"""Adaptation of an exported model on the device: its method, and data with targets."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras
import numpy as np

from export.data import as_arrays
from export.evaluation_data import evaluation_pair
from export.forms.model_graph import read_graph
from export.forms.step import to_step
from lnn_keras.adapt.adaptive_model import adaptive_model
from lnn_keras.adapt.linear_method import LinearMethod
from lnn_keras.adapt.recursive_least_squares import RecursiveLeastSquares
from lnn_keras.argument_checks import require_at_least, require_choice

READOUT = "readout"


@dataclass(frozen=True)
class Adaptation:
    """How a model learns on the device from the targets of its stream.

    Attributes:
        method: `RecursiveLeastSquares` or `LeastMeanSquares` of `lnn_keras.adapt`.
        delay: Number of calls until the truth of a prediction is known: 1 if each call comes with
            the truth of the call before.

    Raises:
        ValueError: `method` is no such method, or `delay` is below 0.
    """

    method: LinearMethod = field(default_factory=RecursiveLeastSquares)
    delay: int = 1

    def __post_init__(self):
        if not isinstance(self.method, LinearMethod):
            raise ValueError(
                "`method` must be RecursiveLeastSquares() or LeastMeanSquares() of "
                f"lnn_keras.adapt; received {self.method!r}."
            )
        require_at_least(0, "delay", self.delay)


class AdaptiveData(NamedTuple):
    """An adaptive model, and what it is verified on.

    Attributes:
        model: The model with the input `target`.
        inputs: By name in files, sequences of its inputs (batch, time, ...).
        true_outputs: The true outputs (batch, time, outputs).
    """

    model: keras.Model
    inputs: dict[str, np.ndarray]
    true_outputs: np.ndarray


def adaptation_of(adapt: Any) -> Adaptation | None:
    """Return the argument `adapt` of an export as an `Adaptation`.

    Args:
        adapt: "readout", a method of `lnn_keras.adapt`, an `Adaptation`, or None.

    Raises:
        ValueError: It is none of these.
    """
    if adapt is None or isinstance(adapt, Adaptation):
        return adapt
    if isinstance(adapt, str):
        require_choice("adaptation", adapt, (READOUT,))
        return Adaptation()
    if isinstance(adapt, LinearMethod):
        return Adaptation(adapt)
    raise ValueError(
        f"`adapt` must be {READOUT!r}, a method of lnn_keras.adapt or an export.Adaptation; "
        f"received {adapt!r}."
    )


def adaptive_data(model: keras.Model, adaptation: Adaptation, evaluation: Any) -> AdaptiveData:
    """Return the adaptive model, and evaluation data with their targets.

    Args:
        model: The model, which does not change.
        adaptation: How it learns.
        evaluation: A pair of sequences and their true outputs.

    Raises:
        ValueError: The model has no linear readout or a fixed length, or the data have no true
            outputs or do not fit the model.
    """
    adaptive = adaptive_model(model, adaptation.method, delay=adaptation.delay)
    graph = read_graph(model)
    step = to_step(model)
    if step.window is not None:
        raise ValueError(
            f"The model has sequences of {step.window} steps, after which a device would forget "
            "what it learned; build it with keras.Input((None, features)) to adapt to a stream."
        )
    inputs, true_outputs = evaluation_pair(graph, step, evaluation, None)
    if inputs is None or true_outputs is None:
        received = "None" if evaluation is None else "no true outputs"
        raise ValueError(
            "`adapt` needs targets to verify what the device learns: give evaluation=(inputs, true "
            f"outputs); received {received}."
        )
    true_outputs = true_outputs.reshape(-1, *true_outputs.shape[-2:]).astype("float32")
    targets = delayed(true_outputs, adaptation.delay)
    names = list(read_graph(adaptive).inputs)
    named = dict(zip(names, [*inputs.values(), targets], strict=True))
    return AdaptiveData(adaptive, named, true_outputs)


def delayed(true_outputs: np.ndarray, delay: int) -> np.ndarray:
    """Return the targets (batch, time, outputs) that a device gets: NaN where none is known yet."""
    count = true_outputs.shape[1]
    unknown = np.full_like(true_outputs[:, :delay], np.nan)
    return np.concatenate([unknown, true_outputs[:, : max(0, count - delay)]], axis=1)


def checked_calibration(model: keras.Model, calibration: Any) -> dict[str, np.ndarray] | None:
    """Return calibration data by the names of a model's inputs; None stays None."""
    return None if calibration is None else as_arrays(read_graph(model), calibration)
