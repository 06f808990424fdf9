"""Preset: the complete description of a pretrained model, except for its weights."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.labels import Labels
from zoo.training.arrays import Arrays, Inputs
from zoo.training.metrics import Metric
from zoo.training.prediction import predict
from zoo.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    import keras

    from export import Stepper

Splits = Mapping[str, Arrays]
Samples = Mapping[str, Inputs]


class LazySplits(Mapping[str, Arrays]):
    """Splits that are loaded on access, for tasks in which one costs far more than another."""

    def __init__(self, **loaders: Callable[[], Arrays]):
        self._loaders = loaders

    def __getitem__(self, name: str) -> Arrays:
        return self._loaders[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)


@dataclass(frozen=True)
class Bar:
    """A published or measured result to compare with.

    Attributes:
        value: The value of the preset's first metric.
        source: The model and the publication.
    """

    value: float
    source: str


@dataclass(frozen=True)
class Preset:
    """A model for a task: how it is built, trained and evaluated, and the digest of its weights.

    Preset objects do not import Keras; the functions that need it import it when they are called.

    Attributes:
        name: The name for `zoo.load`.
        domain: "control", "forecasting", "biosignals" or "driving".
        task: One line that describes the task.
        description: Data, protocol, intended use and limits in Markdown, for the card.
        build: Function from `config` to an untrained model.
        config: Frozen dataclass. Its field `cell` can be replaced by "lstm" or "gru".
        baselines: Name -> config of the models that the card compares with.
        dataset: The dataset.
        load_splits: Function from a seed to {"train" | "validation" | "test": (inputs, targets)}.
            Only some tasks split differently for each seed.
        split_by_seed: Whether each seed has its own validation split.
        load_samples: Function that returns real data: "calibration" from the training or
            validation split, "inputs" and "targets" from the test split. They ship with the preset
            if the licence of the dataset allows it.
        load_evaluation: Function that returns inputs and targets of the test split, on which the
            exports on the card are verified. Default: those of the samples.
        prepare: Function that fits the normalization of a model to the training inputs.
        recipe: Hyperparameters of the training.
        metrics: Metrics on the test split. The first one ranks the models.
        bars: Published or measured results in the first metric.
        license: SPDX name of the licence of the weights.
        metadata_sha256: SHA-256 of the released metadata.json, which has those of all other files;
            "" before the first release.
        loss: Training loss: a name that Keras knows, or a function of targets and predictions.
        validation_loss: Function from targets and predictions on the validation split to the loss
            that selects the weights. Default: the first metric as a loss.
        for_training: Function from the model to the model that is trained, which shares its
            weights: for example a simulation that contains it.
        predict: Function from the model and inputs to the array that the metrics take. Default:
            its predictions. Tasks with closed-loop evaluation return the simulated results.
        predict_with_stepper: The same for an exported file, from its `export.Stepper` and inputs;
            only for tasks with closed-loop evaluation.
        target: Target device of the exports on the card.
        export_recipes: Export recipes on the card. The first one is recommended.
        shipped_recipes: Export recipes whose files ship with the preset.
        columns: Columns of a table for `lnn predict` -> their kinds, see `zoo.data.column_kinds`.
        from_table: Function from such columns to the inputs for one sequence.
        to_table: Function from the predictions (sequences, ...) for such a file to columns of
            numbers in real units. Default: "output 1", "output 2", ...
        target_columns: Columns of a table with the true values of the columns of `to_table`,
            by which predictions are scored if a file has them.
        labels: Names and units of the inputs and outputs.
        stream_targets: Function from the columns of a table, `target_columns` included, to the true
            outputs (rows, outputs) of the model, NaN where they are unknown, for `lnn adapt`.
    """

    name: str
    domain: str
    task: str
    description: str
    build: "Callable[[Any], keras.Model]"
    config: Any
    baselines: dict[str, Any]
    dataset: Dataset
    load_splits: Callable[[int], Splits]
    load_samples: Callable[[], Samples]
    prepare: "Callable[[keras.Model, Any], None]"
    recipe: TrainingRecipe
    metrics: tuple[Metric, ...]
    bars: tuple[Bar, ...]
    license: str
    metadata_sha256: str
    split_by_seed: bool = False
    load_evaluation: Callable[[], tuple[Inputs, np.ndarray]] | None = None
    loss: Any = "mse"
    validation_loss: Callable[[np.ndarray, np.ndarray], float] | None = None
    for_training: "Callable[[keras.Model], keras.Model]" = lambda model: model
    predict: "Callable[[keras.Model, Any], np.ndarray]" = predict
    predict_with_stepper: "Callable[[Stepper, Any], np.ndarray] | None" = None
    target: str = "micro"
    export_recipes: tuple[str, ...] = ("float32", "int8")
    shipped_recipes: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    from_table: Callable[[dict[str, np.ndarray]], Inputs] | None = None
    to_table: Callable[[np.ndarray], dict[str, np.ndarray]] | None = None
    target_columns: tuple[str, ...] = ()
    labels: Labels = field(default_factory=Labels)
    stream_targets: Callable[[dict[str, np.ndarray]], np.ndarray] | None = None

    @property
    def metric(self) -> Metric:
        """The metric that ranks the models."""
        return self.metrics[0]

    @property
    def configs(self) -> dict[str, Any]:
        """The config of the preset as "liquid", and the configs of its baselines."""
        return {"liquid": self.config, **self.baselines}

    def register_loss(self) -> None:
        """Register the loss function with Keras, for models that are saved after compilation."""
        if callable(self.loss):
            import keras

            keras.saving.register_keras_serializable(package="zoo")(self.loss)
