"""Train a tiny model on bundled data, spread as asked: `spread.py FOLDER WAY [HOSTS INDEX]`.

It writes its losses to FOLDER/losses-INDEX.json; LNN_TEST_CPUS divides TensorFlow's processor.
"""

import json
import os
import sys
from pathlib import Path

import keras

import zoo
from lnn_keras import LiquidCell, LiquidRNN
from zoo.training.distribution import distributed
from zoo.training.loop import predict, train
from zoo.training.recipe import TrainingRecipe

RECIPE = TrainingRecipe(epochs=4, batch_size=8, learning_rate=0.01, noise=0.05, average=0.5)


def main(folder, way, hosts="", index=None):
    if cpus := os.environ.get("LNN_TEST_CPUS"):
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * int(cpus)
        tf.config.set_logical_device_configuration(cpu, parts)
    index = None if index is None else int(index)
    with distributed(None if way == "none" else way, hosts.split(",") if hosts else (), index):
        # 40 windows of 12 steps of a real trace.
        windows = zoo.samples("half-cheetah-micro")["inputs"][:480].reshape(40, 12, -1)
        pairs = windows[:, :-1], windows[:, 1:]
        keras.utils.set_random_seed(3)
        layers = [
            keras.Input((None, windows.shape[-1])),
            LiquidRNN(LiquidCell(4, unfolds=1), return_sequences=True),
            keras.layers.Dropout(float(os.environ.get("LNN_TEST_DROPOUT", "0.2"))),
            keras.layers.Dense(windows.shape[-1]),
        ]
        model = keras.Sequential(layers)
        stop = int(os.environ.get("LNN_TEST_STOP", "-1"))

        def progress(epoch):
            if epoch.epoch == stop:
                os._exit(9)

        # 33 sequences to validate: no number of devices divides them.
        training, validation = tuple(a[:32] for a in pairs), tuple(a[7:] for a in pairs)
        recipe = TrainingRecipe(**{**vars(RECIPE), "checkpoint_every": 1})
        history = train(model, training, validation, recipe, 1, folder, progress)
        predicted = float(predict(model, validation[0]).mean())
    losses = [[epoch.loss, epoch.validation_loss] for epoch in history]
    Path(folder, f"losses-{index or 0}.json").write_text(json.dumps([losses, predicted]))


if __name__ == "__main__":
    main(*sys.argv[1:])
