"""The neurons of the recurrent layer: the feature that each follows, and the answer without it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lnn_keras import inspect
from zoo.explain.dynamics import Dynamics
from zoo.explain.subject import Subject
from zoo.explain.variations import Window

# Neurons with a row in the table.
SHOWN = 12
# Neurons that are knocked out one by one; more take too long.
MOST_KNOCKED_OUT = 256
# Numbers of a state beyond which the Jacobians of all steps take too long.
MOST_STATES = 256


@dataclass(frozen=True)
class Neuron:
    """One neuron.

    Attributes:
        number: Its number, from 0, as in the figures.
        effect: The change of the explained output without it.
        follows: The feature that its state is most correlated with, and the correlation.
        time_constant: The median of its time constant; None if the cell has none.
    """

    number: int
    effect: float
    follows: tuple[str, float]
    time_constant: float | None


@dataclass(frozen=True)
class Neurons:
    """The neurons of a layer.

    Attributes:
        strongest: Those whose absence changes the answer most, the strongest first.
        count: The number of all.
        knocked_out: How many were knocked out.
        slowest: The longest time scale of the step's Jacobian at the explained step.
        exponent: The largest Lyapunov exponent; None if it cannot be computed.
    """

    strongest: tuple[Neuron, ...]
    count: int
    knocked_out: int
    slowest: float | None
    exponent: float | None


def neurons(subject: Subject, window: Window, found: Dynamics) -> Neurons:
    """Knock out each neuron of the recorded layer, and compare its state with the features."""
    arrays: Any = list(window.inputs.values())
    inputs = arrays if len(arrays) > 1 else arrays[0]
    states = _states(found)
    count = found.units
    # A neuron of a LEFCell has a state for each parameter of its distribution, one after the other.
    states = states[:, :: max(1, states.shape[-1] // count)]
    knocked = list(range(min(count, MOST_KNOCKED_OUT)))
    outputs = inspect.knock_out(subject.model, inputs, layer=found.layer, neurons=knocked)
    at = outputs[:, 0, window.index] if subject.is_sequence else outputs[:, 0]
    number = subject.answer.explained
    without = subject.answer.to_real(at.reshape(len(knocked), -1))[:, number]
    effects = without - window.answers([window.inputs])[0][number]
    order = np.argsort(-np.abs(effects))[:SHOWN]
    constants = found.time_constants
    strongest = tuple(
        Neuron(
            int(i),
            float(effects[i]),
            _follows(subject, window, states[:, i]),
            None if constants is None else float(np.nanmedian(constants[:, i])),
        )
        for i in order
    )
    return Neurons(strongest, count, len(knocked), *_dynamics(found, window))


def _states(found: Dynamics) -> np.ndarray:
    name = "state" if "state" in found.recording else "state_0"
    return found.recording[name][0]


def _follows(subject: Subject, window: Window, state: np.ndarray) -> tuple[str, float]:
    """The feature with the largest correlation, by magnitude."""
    signal = window.inputs[subject.main].reshape(window.length, -1).astype("float64")
    steps = min(len(signal), len(state))
    signal, state = signal[:steps], state[:steps].astype("float64")
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = (signal - signal.mean(0)) / signal.std(0)
        correlations = centred.T @ ((state - state.mean()) / state.std()) / steps
    correlations = np.nan_to_num(correlations)
    best = int(np.argmax(np.abs(correlations)))
    return subject.feature_names[subject.main][best], float(correlations[best])


def _dynamics(found: Dynamics, window: Window) -> tuple[float | None, float | None]:
    """The longest time scale at the explained step, and the largest Lyapunov exponent."""
    if _states(found).shape[-1] > MOST_STATES:
        return None, None
    try:
        scales = inspect.time_scales(found.recording)[0, window.index]
        exponents = inspect.lyapunov_exponents(found.recording)[0]
    except (ValueError, IndexError, TypeError):
        return None, None
    finite = scales[np.isfinite(scales)]
    exponent = float(exponents[0])
    return float(finite.max()) if len(finite) else None, (
        exponent if np.isfinite(exponent) else None
    )
