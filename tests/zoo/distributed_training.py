"""Trains a tiny model on bundled data, on one device or on several; runs in a process of its own.

Every run writes its losses and a prediction to `losses-INDEX.json` in its folder.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

import zoo
from lnn_keras import LiquidCell, LiquidRNN
from zoo.training.distribution import distributed
from zoo.training.loop import predict, train
from zoo.training.recipe import TrainingRecipe

RECIPE = TrainingRecipe(
    epochs=2, batch_size=8, learning_rate=0.01, noise=0.05, average=0.5, checkpoint_every=1
)
KILLED = 9


def run(
    folder: Path,
    way: str | None = None,
    hosts: tuple[str, ...] = (),
    index: int | None = None,
    recipe: TrainingRecipe = RECIPE,
    dropout: float = 0.2,
    killed_in: int | None = None,
) -> None:
    """Train; `killed_in` ends the process in that epoch, before its checkpoint is written."""
    folder.mkdir(exist_ok=True)

    def progress(epoch):
        if epoch.epoch == killed_in:
            os._exit(KILLED)

    with distributed(way, hosts, index):
        inputs, targets = windows()
        model = build(inputs.shape[-1], dropout)
        training = inputs[:32], targets[:32]
        # 33 sequences: no number of devices divides them evenly.
        validation = inputs[7:], targets[7:]
        history = train(model, training, validation, recipe, 1, folder, progress)
        predicted = float(predict(model, validation[0]).mean())
    losses = [[epoch.loss, epoch.validation_loss] for epoch in history]
    (folder / f"losses-{index or 0}.json").write_text(json.dumps([losses, predicted]))


def windows() -> tuple[np.ndarray, np.ndarray]:
    """40 windows of 5 steps of a real trace, and the observations one step later."""
    sequences = zoo.samples("half-cheetah-micro")["inputs"][:240].reshape(40, 6, -1)
    return sequences[:, :-1], sequences[:, 1:]


def build(features: int, dropout: float) -> keras.Model:
    keras.utils.set_random_seed(3)
    layers = [
        keras.Input((None, features)),
        LiquidRNN(LiquidCell(3, unfolds=1), return_sequences=True),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(features),
    ]
    return keras.Sequential(layers)


def run_one_then_four(one: Path, four: Path) -> None:
    """Train on one device; then on all, where the second epoch ends the process."""
    run(one)
    run(four, "jax", killed_in=1)


def run_one_then_mirrored(one: Path, mirrored: Path) -> None:
    """Train on one of two virtual devices of TensorFlow, then on both.

    Each device draws its own dropout mask, so there is no dropout.
    """
    epoch = replace(RECIPE, epochs=1)
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    run(one, recipe=epoch, dropout=0.0)
    run(mirrored, "tensorflow", recipe=epoch, dropout=0.0)


def losses(folder: Path, index: int = 0) -> np.ndarray:
    """The losses of all epochs and the mean prediction, as `run` wrote them."""
    history, predicted = json.loads((folder / f"losses-{index}.json").read_text())
    return np.array([*np.ravel(history), predicted])
