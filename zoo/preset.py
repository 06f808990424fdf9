"""Preset: everything about a pretrained model but its numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from zoo.data.fetch import Dataset
from zoo.training import Recipe

Splits = dict[str, tuple[np.ndarray, np.ndarray]]


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
        load_splits: Function to {"train" | "validation" | "test": (inputs, targets)}.
        load_samples: Function to the real data that ship with it: "calibration" from the
            training split, "inputs" and "targets" from the test split.
        prepare: Function that fits a model's normalization to the training inputs.
        recipe: How it is trained.
        metric: Name of the metric, the mean squared error unless said otherwise.
        published: The published number to beat, and where it stands.
        license: SPDX name of the weights' licence.
        weights_sha256: Digest of the bundled weights; "" before there are any.
    """

    name: str
    domain: str
    task: str
    description: str
    build: Callable[[Any], keras.Model]
    config: Any
    baselines: dict[str, Any]
    dataset: Dataset
    load_splits: Callable[[], Splits]
    load_samples: Callable[[], dict[str, np.ndarray]]
    prepare: Callable[[keras.Model, np.ndarray], None]
    recipe: Recipe
    metric: str
    published: tuple[float, str]
    license: str
    weights_sha256: str

    @property
    def configs(self) -> dict[str, Any]:
        """The preset's own config as "liquid", and those of its baselines."""
        return {"liquid": self.config, **self.baselines}
