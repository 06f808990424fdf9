"""The training loop of all tasks: seeds, early stopping, history, resumption from checkpoints."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import compat
from zoo.training import checkpoint, distribution
from zoo.training.arrays import Arrays, Inputs
from zoo.training.checkpoint import Epoch, TrainingState
from zoo.training.metrics import mean_squared_error
from zoo.training.prediction import predict
from zoo.training.recipe import TrainingRecipe


def train(
    model: keras.Model,
    training: Arrays,
    validation: Arrays,
    recipe: TrainingRecipe,
    seed: int,
    directory: str | Path,
    progress: Callable[[Epoch], None] | None = None,
    *,
    loss: Any = "mse",
    validation_loss: Callable[[np.ndarray, np.ndarray], float] = mean_squared_error,
) -> list[Epoch]:
    """Train a built model in place; it ends with the weights of the best validation loss.

    The order of the data, the noise and dropout depend only on the seed and the epoch. An
    interrupted run resumes from its last checkpoint in `directory` and gives the same result as
    without the interruption. Under `zoo.training.distribution`, devices share each batch.

    Args:
        model: The model with its initial weights.
        training: Inputs and targets, each (sequences, ...). Several inputs are a dict by name.
        validation: Inputs and targets that select the weights and stop the training.
        recipe: The hyperparameters.
        seed: Seed of the order and the noise.
        directory: Folder of the checkpoints.
        progress: Called after each epoch.
        loss: Training loss, as `keras.Model.compile` takes it.
        validation_loss: Function from targets and predictions to the validation loss.

    Returns:
        All epochs, including those before a resumption.

    Raises:
        ValueError: The checkpoint in `directory` has another recipe or seed, there are fewer
            sequences than a batch holds, or the devices cannot share a batch evenly.
        FloatingPointError: The training or the validation loss is no longer finite.
    """
    identity = {"recipe": asdict(recipe), "seed": seed}
    steps = _steps_per_epoch(training, recipe)
    _require_even_shares(recipe.batch_size)
    # Without compilation, JAX dispatches each operation of each time step on its own.
    compiled = recipe.jit_compile or keras.backend.backend() == "jax"
    model.compile(_optimizer(recipe, steps), loss=loss, jit_compile=compiled)  # pyright: ignore[reportArgumentType] # stub: jit_compile is a str
    # With the optimizer built, TensorFlow traces the training step once instead of twice.
    model.optimizer.build(model.trainable_variables)
    state = checkpoint.restore(directory, identity, model)

    while not _is_finished(state.history, recipe):
        epoch, start = len(state.history), time.perf_counter()
        training_loss = _train_epoch(model, training, recipe, steps, [seed, epoch])
        # The first epochs get full weight; otherwise the initial weights dominate the average.
        decay = min(recipe.average, epoch / (epoch + 1))
        weights = checkpoint.trainable_values(model)
        state.average = [
            decay * past + (1 - decay) * new
            for past, new in zip(state.average, weights, strict=True)
        ]
        # Validation uses the averaged weights; training continues from the current ones.
        checkpoint.assign(model, state.average)
        value = float(validation_loss(validation[1], predict(model, validation[0])))
        checkpoint.assign(model, weights)
        if not np.isfinite(value):
            raise FloatingPointError(f"The validation loss became {value} in epoch {epoch + 1}.")
        if value < state.best_loss:
            state.best = state.average
        state.history.append(Epoch(epoch, training_loss, value, time.perf_counter() - start))
        if progress:
            progress(state.history[-1])
        if _is_checkpoint_due(state, recipe):
            checkpoint.write(directory, identity, model, state)
    checkpoint.assign(model, state.best)
    return state.history


def _train_epoch(
    model: keras.Model, training: Arrays, recipe: TrainingRecipe, steps: int, seed: list[int]
) -> float:
    """Train for one epoch, and return the mean loss."""
    inputs, targets = training
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(targets))[: steps * recipe.batch_size]
    noisy = _with_noise(_take(inputs, chosen), inputs, recipe.noise, random)
    _reseed(model, random)
    (batch_inputs, batch_targets), size = _share_of_batches(
        (noisy, targets[chosen]), recipe.batch_size
    )
    fitted: Any = model.fit(batch_inputs, batch_targets, batch_size=size, shuffle=False, verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
    loss = float(fitted.history["loss"][0])
    if not np.isfinite(loss):
        raise FloatingPointError(f"The training loss became {loss} in epoch {seed[1] + 1}.")
    return loss


def _steps_per_epoch(training: Arrays, recipe: TrainingRecipe) -> int:
    sequences = len(training[1])
    steps = sequences // recipe.batch_size
    if steps < 1:
        raise ValueError(
            f"`batch_size` is {recipe.batch_size}, but there are only {sequences} sequences."
        )
    return steps


def _require_even_shares(batch_size: int) -> None:
    if batch_size % (devices := distribution.devices()):
        raise ValueError(
            f"`batch_size` is {batch_size}, which {devices} devices cannot share evenly."
        )


def _take(inputs: Any, chosen: np.ndarray) -> Any:
    return keras.tree.map_structure(lambda array: array[chosen], inputs)


def _share_of_batches(arrays: Arrays, batch_size: int) -> tuple[Arrays, int]:
    """The part of each batch that this process trains on, and its size."""
    index, processes = distribution.process()
    if processes == 1:
        return arrays, batch_size
    order = np.arange(len(arrays[1])).reshape(-1, processes, batch_size // processes)
    return _take(arrays, order[:, index].ravel()), batch_size // processes


def _with_noise(
    chosen: Inputs, inputs: Inputs, noise: float, random: np.random.Generator
) -> Inputs:
    """Add noise to inputs of rank 3; elapsed times and other inputs without features stay."""

    def with_noise(array: np.ndarray, whole: np.ndarray) -> np.ndarray:
        if not noise or whole.ndim < 3:
            return array
        deviation = noise * whole.std(axis=(0, 1))
        return array + random.standard_normal(array.shape, "float32") * deviation

    result: Any = keras.tree.map_structure(with_noise, chosen, inputs)
    return result


def _reseed(model: keras.Model, random: np.random.Generator) -> None:
    """Set the random state of dropout and other layers, which checkpoints do not contain."""
    for variable in model.non_trainable_variables:
        if compat.is_seed_state(variable):
            variable.assign(random.integers(2**32, size=variable.shape, dtype="uint32"))


def _optimizer(recipe: TrainingRecipe, steps: int) -> keras.optimizers.Optimizer:
    total = steps * recipe.epochs
    warmup = max(total // 20, 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup
    )
    return keras.optimizers.AdamW(
        schedule,  # pyright: ignore[reportArgumentType] # stub: learning_rate is a float
        weight_decay=recipe.weight_decay,
        clipnorm=recipe.clip_norm,
    )


def _is_finished(history: list[Epoch], recipe: TrainingRecipe) -> bool:
    if not history:
        return False
    best = min(history, key=lambda epoch: epoch.validation_loss)
    return len(history) >= recipe.epochs or history[-1].epoch - best.epoch >= recipe.patience


def _is_checkpoint_due(state: TrainingState, recipe: TrainingRecipe) -> bool:
    due = len(state.history) % recipe.checkpoint_every == 0
    return due or _is_finished(state.history, recipe)
