"""Trainings with large learning rates and without clipping, and the length of gradients."""

from typing import Any

import numpy as np

from zoo.claims.tasks import inputs_of
from zoo.claims.training import BATCH_SIZE, Bench, Trained

LEARNING_RATES = (0.03, 0.1, 0.3)
# A validation error of this many times that of a constant prediction counts as an explosion.
EXPLODED = 10.0
GRADIENT_SEQUENCES, GRADIENT_STEPS = 64, 32


def failures(bench: Bench, layer: str, seed: int) -> dict[str, list[float]]:
    """Train with Adam at each of the large learning rates, without clipping.

    Returns:
        "explodes": for each learning rate, 1 if the loss or the validation error became infinite or
        NaN or is above `EXPLODED` times that of the best constant prediction, else 0. "fails": 1 if
        it exploded or is not better than the best constant prediction, else 0.
    """
    import keras

    training, validation = bench.splits["train"], bench.splits["validation"]
    limit = bench.task.constant_error(training, validation)
    model = bench.untrained(layer, seed)
    initial = model.get_weights()
    batches = np.random.default_rng(seed).integers(
        len(training.targets), size=bench.extent.stability_steps * BATCH_SIZE
    )
    inputs: Any = keras.tree.map_structure(lambda a: a[batches], inputs_of(model, training))
    model.compile(keras.optimizers.Adam(), loss=bench.task.loss, jit_compile=False)  # pyright: ignore[reportArgumentType] # stub: jit_compile is a str
    model.optimizer.build(model.trainable_variables)
    fresh = [variable.numpy() for variable in model.optimizer.variables]
    found: dict[str, list[float]] = {"explodes": [], "fails": []}
    for rate in LEARNING_RATES:
        model.set_weights(initial)
        for variable, value in zip(model.optimizer.variables, fresh, strict=True):
            variable.assign(value)
        model.optimizer.learning_rate = rate
        model.fit(
            inputs, training.targets[batches], batch_size=BATCH_SIZE, shuffle=False, verbose=0
        )  # pyright: ignore[reportArgumentType] # stub: verbose is a str
        outputs: Any = model.predict(inputs_of(model, validation), verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
        error = bench.task.validation_error(validation.targets, outputs)
        explodes = not np.isfinite(error) or error > EXPLODED * limit
        found["explodes"].append(float(explodes))
        found["fails"].append(float(explodes or error >= limit))
    return found


def gradient_lengths(trained: Trained) -> dict[str, list[float]]:
    """How far the gradient of the last output vanishes or explodes backwards in time.

        | log10( |dy_T / dx_{T-31}| / |dy_T / dx_T| ) |

    It is 0 if an input 31 steps earlier (7 on a task with 8 steps) changes the last outputs as
    much as the last input does; 3 if it changes them by a factor of 1,000 less or more. One number
    for each group of test sequences.
    """
    from lnn_keras import inspect

    test = trained.bench.splits["test"].part(GRADIENT_SEQUENCES)
    steps = test.inputs.shape[1]
    part = test.at_steps(np.arange(max(0, steps - GRADIENT_STEPS), steps))

    def last_outputs(outputs: Any) -> Any:
        import keras

        return keras.ops.sum(outputs[:, -1], axis=-1)

    found: Any = inspect.gradients(trained.model, inputs_of(trained.model, part), last_outputs)
    by_input = found["signal"] if isinstance(found, dict) else found
    lengths = np.linalg.norm(np.asarray(by_input, "float64"), axis=-1) + 1e-30
    ratios = np.abs(np.log10(lengths[:, 0] / lengths[:, -1]))
    groups = np.unique(part.groups)
    return {"gradients": [float(ratios[part.groups == group].mean()) for group in groups]}
