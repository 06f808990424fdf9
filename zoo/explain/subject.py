"""Subject: a model, one sequence of its inputs, and how a person reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lnn_keras.compat import predict
from zoo.labels import CLASSES, RISK, Labels

if TYPE_CHECKING:
    import keras

    from export import Step


@dataclass(frozen=True)
class Answer:
    """How the outputs of a model are read.

    Attributes:
        kind: "numbers", "classes" or "risk"; see `zoo.labels.Labels`.
        names: The name of each output.
        units: The unit of each output; "" for none.
        scale: The real value of one unit of each output.
        offset: The real value of each output at 0.
        explained: The number of the output that is explained.
        gaussian: None; or, if two outputs are the parameters of a Gaussian for each name, "natural"
            or "means", of y and y^2.
    """

    kind: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    scale: np.ndarray
    offset: np.ndarray
    explained: int
    gaussian: str | None = None

    def value(self, outputs: Any, index: int) -> Any:
        """The quantity of a name in real units (...), of outputs (..., outputs) or a tensor."""
        if self.gaussian == "natural":
            return -outputs[..., 2 * index] / (2 * outputs[..., 2 * index + 1])
        if self.gaussian == "means":
            return outputs[..., 2 * index]
        scale, offset = (np.broadcast_to(x, len(self.names)) for x in (self.scale, self.offset))
        return outputs[..., index] * float(scale[index]) + float(offset[index])

    def to_real(self, outputs: np.ndarray) -> np.ndarray:
        """The quantities of all names (..., names), of outputs (..., outputs)."""
        outputs = np.asarray(outputs, "float64")
        return np.stack([self.value(outputs, i) for i in range(len(self.names))], axis=-1)

    def deviations(self, outputs: np.ndarray) -> np.ndarray | None:
        """The standard deviations of Gaussians (..., names); None for other outputs."""
        if self.gaussian is None:
            return None
        first, second = (np.asarray(outputs, "float64")[..., i::2] for i in (0, 1))
        return np.sqrt(-1 / (2 * second) if self.gaussian == "natural" else second - first**2)

    @property
    def is_probability(self) -> bool:
        """Whether outputs are probabilities."""
        return self.kind in (CLASSES, RISK)


@dataclass(frozen=True)
class Subject:
    """A model, one sequence of its inputs, and the step that is explained.

    Attributes:
        name: The model's name.
        model: The model.
        step: Its step form; None if it has none.
        inputs: The sequence, arrays (1, time, ...) by the names of the model's inputs.
        feature_names: The names of the features of each input.
        units: Their units; "" for none.
        elapsed: How the model takes elapsed times: the name of an input, "last_feature", or None.
        answer: How its outputs are read.
        labels: The labels of the preset, or those made from a table.
        outputs: The outputs of the model in real units: (time, outputs), or (outputs,) if it
            returns those after the last step only.
        deviations: The standard deviations of `outputs` that the model predicts; None without any.
        typical: Typical values of the main input, of the shape of a row: the mean of all sequences
            of the file, if the model answers once for a sequence; otherwise None.
        sequences: The number of sequences of the file.
        targets: True values of the shape of `outputs`, NaN where unknown; None without any.
        step_index: The step that is explained.
        origin: The file of the inputs, in words.
        notes: Remarks for the reader.
    """

    name: str
    model: "keras.Model"
    step: "Step | None"
    inputs: Mapping[str, np.ndarray]
    feature_names: Mapping[str, tuple[str, ...]]
    units: Mapping[str, tuple[str, ...]]
    elapsed: str | None
    answer: Answer
    labels: Labels
    outputs: np.ndarray
    targets: np.ndarray | None
    step_index: int
    origin: str
    deviations: np.ndarray | None = None
    typical: np.ndarray | None = None
    sequences: int = 1
    notes: tuple[str, ...] = ()

    def predict(self, inputs: Mapping[str, np.ndarray], batch_size: int = 64) -> np.ndarray:
        """The outputs of the model for sequences, arrays (sequences, time, ...) by input name."""
        arrays = [inputs[name] for name in self.inputs]
        return predict(self.model, arrays if len(arrays) > 1 else arrays[0], batch_size)

    @property
    def data_inputs(self) -> list[str]:
        """The names of the inputs that hold features, without that of elapsed times."""
        return [name for name in self.inputs if name != self.elapsed]

    @property
    def length(self) -> int:
        """The number of steps of the sequence."""
        return next(iter(self.inputs.values())).shape[1]

    @property
    def is_sequence(self) -> bool:
        """Whether the model has outputs at each step."""
        return self.outputs.ndim == 2

    @property
    def main(self) -> str:
        """The name of the input with the signal: the first that holds no elapsed times."""
        return self.data_inputs[0]

    @property
    def signal(self) -> np.ndarray:
        """The features (time, features) of the main input."""
        values = self.inputs[self.main][0]
        return values.reshape(len(values), -1)

    def measured(self, values: np.ndarray, feature: int) -> np.ndarray:
        """Values of a feature of the main input as the quantity that was measured."""
        convert = self.labels.measured.get(self.feature_names[self.main][feature])
        return values if convert is None else convert(values)

    @property
    def said(self) -> np.ndarray:
        """The outputs at the explained step, (outputs,)."""
        return self.outputs[self.step_index] if self.is_sequence else self.outputs

    @property
    def truth(self) -> np.ndarray | None:
        """The true outputs at the explained step; None if unknown."""
        if self.targets is None:
            return None
        found = self.targets[self.step_index] if self.is_sequence else self.targets
        return None if np.isnan(found).all() else found

    @property
    def times(self) -> np.ndarray:
        """The time of each step from the start of the sequence, in `labels.time_unit`.

        Without a unit of time, the number of the step, from 1.
        """
        interval = self.labels.interval or 1.0
        if self.elapsed is not None and self.elapsed in self.inputs:
            gaps = self.inputs[self.elapsed].reshape(-1).astype("float64") * interval
            return np.cumsum(gaps) - gaps[0]
        return np.arange(self.length) * interval + (not self.labels.time_unit)
