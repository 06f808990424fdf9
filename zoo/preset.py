"""Preset: everything about a pretrained model but its numbers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from export import Stepper
from zoo.data.dataset import Dataset
from zoo.training.loop import Arrays, Inputs, Recipe, predict
from zoo.training.metrics import Metric

Splits = Mapping[str, Arrays]
Samples = dict[str, Inputs]


class LazySplits(Mapping[str, Arrays]):
    """Splits that are made when they are asked for, where one costs far more than another."""

    def __init__(self, **made: Callable[[], Arrays]):
        self._made = made

    def __getitem__(self, name: str) -> Arrays:
        return self._made[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


@dataclass(frozen=True)
class Bar:
    """A number to beat.

    Attributes:
        value: The metric.
        source: Whose it is, and where it stands.
    """

    value: float
    source: str


@dataclass(frozen=True)
class Preset:
    """A model for a task, how it is made, and which weights are the true ones.

    Attributes:
        name: What users call it.
        domain: "control", "forecasting", "biosignals" or "driving".
        task: One line for people.
        description: Data, protocol, intended use and limits, in Markdown, for its card.
        build: Function from `config` to an untrained model.
        config: Frozen dataclass; its `cell` may be replaced by "lstm" or "gru".
        baselines: Name -> config of the models that the card compares with.
        dataset: Where its data come from.
        load_splits: Function from a seed to {"train" | "validation" | "test": (inputs,
            targets)}; few tasks ask for a split of its own for each seed.
        load_samples: Function to real data: "calibration" from the training split, "inputs"
            and "targets" from the test split. They ship with it where the licence lets them.
        prepare: Function that fits a model's normalization to the training inputs.
        recipe: How it is trained.
        metrics: What is measured on the test split; the first decides.
        bars: Numbers to beat in the first metric.
        license: SPDX name of the weights' licence.
        weights_sha256: Digest of the bundled weights; "" before there are any.
        loss: What training minimizes: a name of Keras's, or a function of true values and
            predictions.
        validation_loss: What chooses the weights, from targets and predictions on the
            validation split; the first metric, as a loss, by default.
        for_training: Function from the model to one that shares its weights and is trained
            in its place, such as a simulation that it drives.
        predict: Function from the model and inputs to what its metrics judge; by default
            its predictions, and for models judged in a closed loop what they drive to.
        drive: The same for a file: from one step of it, a `Stepper`, and inputs; for models
            judged in a closed loop.
        target: Device of the exports on its card.
        export_recipes: Recipes of the exports on its card; the first is recommended.
        shipped_recipes: Those of them whose files ship with it.
        columns: Columns of a CSV file for `lnn predict` -> "number", "number or blank" or
            "text".
        from_table: Function from such columns to inputs of one sequence.
    """

    name: str
    domain: str
    task: str
    description: str
    build: Callable[[Any], keras.Model]
    config: Any
    baselines: dict[str, Any]
    dataset: Dataset
    load_splits: Callable[[int], Splits]
    load_samples: Callable[[], Samples]
    prepare: Callable[[keras.Model, Inputs], None]
    recipe: Recipe
    metrics: tuple[Metric, ...]
    bars: tuple[Bar, ...]
    license: str
    weights_sha256: str
    loss: Any = "mse"
    validation_loss: Callable[[np.ndarray, np.ndarray], float] | None = None
    for_training: Callable[[keras.Model], keras.Model] = lambda model: model
    predict: Callable[[keras.Model, Inputs], np.ndarray] = predict
    drive: Callable[[Stepper, Inputs], np.ndarray] | None = None
    target: str = "micro"
    export_recipes: tuple[str, ...] = ("float32", "int8")
    shipped_recipes: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    from_table: Callable[[dict[str, np.ndarray]], Inputs] | None = None

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return self.metrics[0]

    @property
    def configs(self) -> dict[str, Any]:
        """The preset's own config as "liquid", and those of its baselines."""
        return {"liquid": self.config, **self.baselines}
