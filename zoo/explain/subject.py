"""Subject: the prediction that a page explains, with its model, inputs, names and units."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from export import Step

if TYPE_CHECKING:
    import keras

LAST_FEATURE = "last_feature"


def as_they_are(outputs: np.ndarray) -> np.ndarray:
    """Outputs of a model that are in real units already."""
    return outputs


@dataclass(frozen=True)
class Answer:
    """The meaning of a model's outputs.

    Attributes:
        kind: "numbers", "classes" for probabilities, or "distribution" for a distribution of each
            number.
        names: Names of the numbers or classes.
        units: Their units, "" without one.
        to_real: Function from outputs (..., outputs) to numbers in real units (..., names); of a
            distribution, to its means.
        deviation: Function from outputs to the standard deviations of a distribution, or None.
    """

    kind: Literal["numbers", "classes", "distribution"]
    names: tuple[str, ...]
    units: tuple[str, ...]
    to_real: Callable[[np.ndarray], np.ndarray] = as_they_are
    deviation: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class TimeAxis:
    """The steps of a sequence in words.

    Attributes:
        step: The name of a step, such as "beat".
        length: Length of a step, or of one unit of the elapsed times, in `unit`.
        unit: Unit of time; "" if only steps are known.
    """

    step: str = "step"
    length: float = 1.0
    unit: str = ""


@dataclass(frozen=True)
class Subject:
    """A prediction that is explained.

    Attributes:
        name: Name of the model.
        model: The Keras model.
        step: Its form of one time step; None if it has none.
        inputs: Inputs of one sequence by name, (1, time, ...), as the model takes them.
        feature_names: For each input, the names of the values of a row.
        units: For each input, the units of these values, "" without one.
        elapsed: How the model takes elapsed times: None, the name of an input, or "last_feature".
        answer: The meaning of the outputs.
        step_index: The step that is explained, counted from 0.
        output_index: The output that is explained, or None for the one that stands out most.
        targets: True values in the units of the outputs (time, outputs), NaN where unknown; or
            (outputs,) if the model answers once.
        typical: For each input, typical values of a row, for comparisons.
        real_values: By input and number of a value: its name and unit, and the function that turns
            it into a measured quantity.
        time: The steps in words.
        sequence: Which sequence of the file it is, counted from 1, and how many there are.
        origin: Sentences about the file and the model, by heading.
        limits: What the model's card says about its limits; "" without a card.
        known_error: A sentence on the errors that the model is known to make; "" without one.
        notes: Further remarks for the page.
    """

    name: str
    model: "keras.Model"
    step: Step | None
    inputs: dict[str, np.ndarray]
    feature_names: dict[str, tuple[str, ...]]
    units: dict[str, tuple[str, ...]]
    elapsed: str | None
    answer: Answer
    step_index: int
    output_index: int | None = None
    targets: np.ndarray | None = None
    typical: dict[str, np.ndarray] = field(default_factory=dict)
    real_values: Mapping[tuple[str, int], "RealValue"] = field(default_factory=dict)
    time: TimeAxis = TimeAxis()
    sequence: tuple[int, int] = (1, 1)
    origin: dict[str, str] = field(default_factory=dict)
    limits: str = ""
    known_error: str = ""
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """Number of steps of the sequence."""
        return next(iter(self.inputs.values())).shape[1]

    @property
    def data_inputs(self) -> list[str]:
        """Names of the inputs that hold features, without that of elapsed times."""
        return [name for name in self.inputs if name != self.elapsed]

    def elapsed_times(self) -> np.ndarray | None:
        """The elapsed times (time,), if the model takes them."""
        if self.elapsed is None:
            return None
        if self.elapsed == LAST_FEATURE:
            return next(iter(self.inputs.values()))[0, :, -1]
        return self.inputs[self.elapsed][0].reshape(self.steps)

    def packed(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """Inputs by name in the structure that the model takes."""
        ordered = [arrays[name] for name in self.inputs]
        if isinstance(getattr(self.model, "input", None), dict):
            return dict(zip(self.model.input, ordered, strict=True))
        return ordered if len(ordered) > 1 else ordered[0]

    def predict(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Outputs of the model for a batch of sequences, computed at once."""
        outputs: Any = self.model.predict_on_batch(self.packed(arrays))
        while isinstance(outputs, dict | list | tuple):
            outputs = next(iter(outputs.values() if isinstance(outputs, dict) else outputs))
        return np.asarray(outputs)


@dataclass(frozen=True)
class RealValue:
    """A value of a row as the quantity that was measured.

    Attributes:
        convert: Function from the value to the quantity.
        unit: Unit of the quantity.
    """

    convert: Callable[[float], float]
    unit: str
