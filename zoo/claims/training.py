"""Trained models: all with the same effort, and each resumes where it was interrupted.

Each model is trained with each of the learning rates and the first seed; the one with the least
validation error trains the other seeds and the variants.
"""

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from zoo.claims import models
from zoo.claims.changes import missing
from zoo.claims.tasks import Sequences, Task, inputs_of
from zoo.training.checkpoint import Epoch
from zoo.training.recipe import TrainingRecipe

BATCH_SIZE = 64
# A model with a quarter of the parameters, and one that is trained on sequences with gaps.
USUAL, SMALL, GAPS = "usual", "small", "gaps"
SMALL_PART, SHARE_MISSING = 0.25, 0.5


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        name: Name of the folder of its runs.
        learning_rates: Learning rates to choose from.
        seeds: Number of seeds.
        epochs: Part of the epochs of each task.
        sequences: Largest number of training sequences.
        groups: Largest number of groups of test sequences.
        test_steps: Largest number of steps of a test sequence.
        stability_steps: Steps of a training with a large learning rate.
        device_steps: Steps that run on the emulated core.
        series: Number of Mackey-Glass series.
    """

    name: str
    learning_rates: tuple[float, ...]
    seeds: int
    epochs: float
    sequences: int
    groups: int
    test_steps: int
    stability_steps: int
    device_steps: int
    series: int

    @property
    def identity(self) -> dict[str, Any]:
        """All settings that the number of a run depends on."""
        return {name: value for name, value in asdict(self).items() if name != "seeds"}


FULL = Extent("full", (0.002, 0.006, 0.02, 0.06), 3, 1.0, 10_000, 1000, 1024, 150, 500, 30)
QUICK = Extent("quick", (0.006,), 1, 0.1, 1280, 100, 128, 30, 50, 2)


class Bench:
    """The data of a task, and its trained models.

    Args:
        task: The task.
        extent: How much is measured.
        runs: Folder of all runs.
        report: Called with a sentence before each training.
    """

    def __init__(self, task: Task, extent: Extent, runs: Path, report: Callable[[str], None]):
        self.task, self.extent, self.report = task, extent, report
        self.folder = runs / extent.name / task.name

    @cached_property
    def splits(self) -> dict[str, Sequences]:
        """The splits, cut to the extent."""
        splits = self.task.load()
        return {
            "train": splits["train"].part(self.extent.sequences),
            **{name: self._cut(splits[name]) for name in ("validation", "test")},
        }

    def _cut(self, split: Sequences) -> Sequences:
        part = split.of_groups(np.unique(split.groups)[: self.extent.groups])
        steps = min(self.extent.test_steps, part.inputs.shape[1])
        # The last steps, since some tasks have their only target at the end.
        return part.at_steps(np.arange(part.inputs.shape[1])[-steps:])

    def untrained(self, layer: str, seed: int, variant: str = USUAL) -> Any:
        """A model with initial weights, which normalizes by the training inputs."""
        import keras

        training = self.splits["train"].inputs
        budget = models.BUDGET * (SMALL_PART if variant == SMALL else 1)
        units = models.units_within_budget(self.task, layer, training.shape[-1], int(budget))
        keras.utils.set_random_seed(seed)
        model = models.build(self.task, layer, units, training.shape[-1])
        model.get_layer("normalize").adapt(training)
        return model

    # The measurements of a run follow each other, so few models need to stay in memory.
    @functools.lru_cache(maxsize=4)  # noqa: B019 # a bench lives as long as its command
    def trained(self, layer: str, seed: int, variant: str = USUAL) -> "Trained":
        """A model trained with the learning rate that was best for the first seed.

        Args:
            layer: Key of `models.LAYERS`.
            seed: Seed of the weights and of the order of the data.
            variant: `USUAL`, `SMALL` or `GAPS`.
        """
        return self._run(layer, seed, self.learning_rate(layer), variant)

    @functools.cache  # noqa: B019
    def learning_rate(self, layer: str) -> float:
        """The learning rate with the least validation error for the first seed."""
        rates = self.extent.learning_rates
        if len(rates) == 1:
            return rates[0]
        errors = {rate: self._best_error(layer, rate) for rate in rates}
        return min(errors, key=lambda rate: errors[rate])

    def _best_error(self, layer: str, rate: float) -> float:
        try:
            return self._run(layer, 0, rate).best
        except FloatingPointError:
            # A rate with which the training diverges is not chosen.
            return float("inf")

    def _run(self, layer: str, seed: int, rate: float, variant: str = USUAL) -> "Trained":
        from zoo.training.loop import train

        epochs = max(1, round(self.extent.epochs * self.task.epochs))
        recipe = TrainingRecipe(
            epochs=epochs,
            batch_size=BATCH_SIZE,
            learning_rate=rate,
            weight_decay=self.task.weight_decay,
            noise=self.task.noise,
            patience=epochs,
            checkpoint_every=1,
        )
        model = self.untrained(layer, seed, variant)
        training, validation = self.splits["train"], self.splits["validation"]
        if variant == GAPS:
            gaps = missing(SHARE_MISSING)
            training, validation = (gaps(s, np.zeros(())) for s in (training, validation))
        folder = self.folder / layer / f"{variant}-seed{seed}-rate{rate:g}"
        self.report(f"training {self.task.name}, {layer}, {variant}, seed {seed}, rate {rate:g}")
        history = train(
            model,
            (inputs_of(model, training), training.targets),
            (inputs_of(model, validation), validation.targets),
            recipe,
            seed,
            folder,
            loss=self.task.loss,
            validation_loss=self.task.validation_error,
        )
        return Trained(self, layer, seed, rate, model, history)


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        bench: Its task and data.
        layer: Key of `models.LAYERS`.
        seed: Seed of the weights and of the order of the data.
        learning_rate: The learning rate.
        model: The model, with the weights of the least validation error.
        history: All epochs.
    """

    bench: Bench
    layer: str
    seed: int
    learning_rate: float
    model: Any
    history: list[Epoch]

    @property
    def units(self) -> int:
        """The number of units of the recurrent layer."""
        training = self.bench.splits["train"]
        return models.units_within_budget(
            self.bench.task, self.layer, training.inputs.shape[-1], models.BUDGET
        )

    @property
    def best(self) -> float:
        """The least validation error."""
        return min(epoch.validation_loss for epoch in self.history)

    def predict(self, sequences: Sequences) -> Any:
        """The outputs at each step."""
        from zoo.training.prediction import predict

        return predict(self.model, inputs_of(self.model, sequences))
