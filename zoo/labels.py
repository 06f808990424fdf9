"""Labels: names and units of a model's inputs and outputs, for pages, figures and tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

NUMBERS, CLASSES, RISK = "numbers", "classes", "risk"


@dataclass(frozen=True)
class Labels:
    """Names and units of the inputs and outputs of a model.

    Attributes:
        features: The names of the features of the main input.
        outputs: The names of the outputs: quantities, or classes.
        kind: "numbers"; "classes", whose outputs are probabilities that add up to 1; or "risk",
            one probability.
        units: Units by name of a feature or an output.
        measured: Functions from values of a feature to the quantity that was measured, by name;
            for features that are another form of it.
        scale: The real value of one unit of each output.
        offset: The real value of each output at 0.
        interval: The time between two steps, in `time_unit`; or that of one unit of elapsed time,
            if the model takes elapsed times. None if it is not known.
        time_unit: For instance "s"; "" for steps.
        step: The name of one step, for instance "beat" or "hour".
        sentence: The answer in words, with {name} of the explained output and its {value}; "" for
            a plain one.
        explained: The number of the output that is explained by default.
        picture: Height and width of the pictures that the features are, or None.
    """

    features: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    kind: str = NUMBERS
    units: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)
    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    interval: float | None = None
    time_unit: str = ""
    step: str = "step"
    sentence: str = ""
    explained: int = 0
    picture: tuple[int, int] | None = None
