"""One training loop for all tasks: seeds, early stopping, progress, resume after a kill."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lnn_keras.atomic_folder import whole_folder
from zoo.training import distribution
from zoo.training.metrics import mean_squared_error

_CHECKPOINT = "checkpoint"
# What Keras calls the state of a `SeedGenerator`.
SEED_STATE = "seed_generator_state"

Inputs = np.ndarray | dict[str, np.ndarray]
Arrays = tuple[Inputs, np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        epochs: Most epochs.
        batch_size: Sequences per gradient step.
        learning_rate: Its peak, after a linear warm-up over a twentieth of the steps;
            from there it falls to 0 along a cosine.
        weight_decay: Of AdamW.
        clip_norm: Largest norm of each gradient.
        noise: Standard deviation of Gaussian noise on the training inputs with features,
            as a share of each feature's own.
        average: Weight of the past in the average of the weights over epochs, which
            is what validation sees and what training returns.
        patience: Epochs without a better validation loss after which training stops.
        checkpoint_every: Epochs between checkpoints.
        jit_compile: Whether XLA compiles each step, which pays where a step is a long loop
            of small operations.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    noise: float = 0.0
    average: float = 0.0
    patience: int = 20
    checkpoint_every: int = 5
    jit_compile: bool = False

    def __post_init__(self):
        for name in ("epochs", "batch_size", "patience", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1; received {getattr(self, name)!r}.")
        if not 0 <= self.average < 1:
            raise ValueError(f"`average` must be in [0, 1); received {self.average!r}.")


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave; `seconds` is the time that it took."""

    epoch: int
    loss: float
    validation_loss: float
    seconds: float


def train(
    model: keras.Model,
    training: Arrays,
    validation: Arrays,
    recipe: Recipe,
    seed: int,
    directory: str | Path,
    progress: Callable[[Epoch], None] | None = None,
    *,
    loss: Any = "mse",
    validation_loss: Callable[[np.ndarray, np.ndarray], float] = mean_squared_error,
) -> list[Epoch]:
    """Train a built model in place; it ends with the weights that validated best.

    The order of the data, the noise and dropout depend on the seed and the epoch alone. A
    run that was killed goes on from its last checkpoint in `directory`, to the
    result it would have had. Under `zoo.training.distribution`, devices share each batch.

    Args:
        model: The model; its weights are its start.
        training: Inputs, by name if there are several, and targets, each (sequences, ...).
        validation: The same; chooses the weights and the end.
        recipe: How to train.
        seed: Seed of the order and the noise.
        directory: Where checkpoints lie.
        progress: Called after each epoch.
        loss: What gradients are of.
        validation_loss: What chooses the weights and the end, from targets and predictions.

    Returns:
        All epochs, those before a resume included.

    Raises:
        ValueError: The checkpoint in `directory` belongs to another recipe or seed, or the
            devices cannot share a batch evenly.
        FloatingPointError: The loss is no longer finite.
    """
    checkpoint = Path(directory) / _CHECKPOINT
    identity = {"recipe": asdict(recipe), "seed": seed}
    inputs, targets = training
    steps = len(targets) // recipe.batch_size
    if steps < 1:
        raise ValueError(
            f"`batch_size` is {recipe.batch_size}, but there are only {len(targets)} sequences."
        )
    _require_shares(recipe.batch_size)
    # JAX without compilation runs operation by operation, each step of a sequence anew.
    compiled = recipe.jit_compile or keras.backend.backend() == "jax"
    model.compile(_optimizer(recipe, steps), loss=loss, jit_compile=compiled)
    history, average, best = _resume(checkpoint, identity, model)

    while not _finished(history, recipe):
        epoch, start = len(history), time.perf_counter()
        random = np.random.default_rng([seed, epoch])
        chosen = random.permutation(len(targets))[: steps * recipe.batch_size]
        shown = _noisy(_take(inputs, chosen), inputs, recipe.noise, random)
        _reseed(model, random)
        share, size = _share_of_batches((shown, targets[chosen]), recipe.batch_size)
        fitted = model.fit(*share, batch_size=size, shuffle=False, verbose=0)
        training_loss = fitted.history["loss"][0]
        if not np.isfinite(training_loss):
            raise FloatingPointError(
                f"The training loss became {training_loss} in epoch {epoch + 1}."
            )
        # Early epochs count fully, or the average would hold on to the first weights.
        past = min(recipe.average, epoch / (epoch + 1))
        weights = _values(model)
        average = [past * m + (1 - past) * w for m, w in zip(average, weights, strict=True)]
        # Validation sees the average of the weights; training goes on from the weights.
        _assign(model, average)
        value = float(validation_loss(validation[1], predict(model, validation[0])))
        _assign(model, weights)
        if value < min((e.validation_loss for e in history), default=np.inf):
            best = average
        history.append(Epoch(epoch, float(training_loss), value, time.perf_counter() - start))
        if progress:
            progress(history[-1])
        if len(history) % recipe.checkpoint_every == 0 or _finished(history, recipe):
            _save(checkpoint, identity, model, average, best, history)
    _assign(model, best)
    return history


def predict(model: keras.Model, inputs: Inputs) -> np.ndarray:
    """Predictions of a model on all sequences."""
    with distribution.everywhere_the_same():
        return model.predict(inputs, batch_size=512, verbose=0)


def _take(inputs, chosen):
    return keras.tree.map_structure(lambda array: array[chosen], inputs)


def _require_shares(batch_size):
    if batch_size % (devices := distribution.devices()):
        raise ValueError(
            f"`batch_size` is {batch_size}, which {devices} devices cannot share evenly."
        )


def _share_of_batches(arrays, batch_size):
    """What this process is to see of each batch, and how much that is."""
    index, processes = distribution.process()
    if processes == 1:
        return arrays, batch_size
    order = np.arange(len(arrays[1])).reshape(-1, processes, batch_size // processes)
    return _take(arrays, order[:, index].ravel()), batch_size // processes


def _noisy(shown, inputs, noise, random):
    """Inputs of rank 3 with noise; those without features, such as elapsed times, as they are."""

    def noisy(shown, all_of_it):
        if not noise or all_of_it.ndim < 3:
            return shown
        spread = noise * all_of_it.std(axis=(0, 1))
        return shown + random.standard_normal(shown.shape, "float32") * spread

    return keras.tree.map_structure(noisy, shown, inputs)


def _reseed(model, random):
    """Set what dropout and other layers draw from, which no checkpoint holds."""
    for variable in model.non_trainable_variables:
        if variable.name == SEED_STATE:
            variable.assign(random.integers(2**32, size=variable.shape, dtype="uint32"))


def _optimizer(recipe, steps):
    total = steps * recipe.epochs
    warmup = max(total // 20, 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup
    )
    return keras.optimizers.AdamW(
        schedule, weight_decay=recipe.weight_decay, clipnorm=recipe.clip_norm
    )


def _finished(history, recipe):
    if not history:
        return False
    best = min(history, key=lambda epoch: epoch.validation_loss)
    return len(history) >= recipe.epochs or history[-1].epoch - best.epoch >= recipe.patience


def _values(model):
    return _arrays(model.trainable_variables)


def _arrays(variables):
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def _assign(model, values):
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)


def _save(checkpoint, identity, model, average, best, history):
    if distribution.process()[0] != 0:
        return
    with whole_folder(checkpoint, proof="state.json") as folder:
        np.savez(folder / "weights.npz", *_values(model))
        np.savez(folder / "optimizer.npz", *_arrays(model.optimizer.variables))
        np.savez(folder / "average.npz", *average)
        np.savez(folder / "best.npz", *best)
        state = {**identity, "history": [asdict(epoch) for epoch in history]}
        (folder / "state.json").write_text(json.dumps(state))


def _resume(checkpoint, identity, model):
    """Load the weights, the optimizer, the average and the best, if there is a checkpoint."""
    if not (checkpoint / "state.json").is_file():
        return [], _values(model), _values(model)
    state = json.loads((checkpoint / "state.json").read_text())
    history = [Epoch(**epoch) for epoch in state.pop("history")]
    if state != identity:
        changed = [key for key in identity if state.get(key) != identity[key]]
        raise ValueError(
            f"The checkpoint in {checkpoint.parent} was made with another {' and '.join(changed)}; "
            "train in another folder, or remove it."
        )
    _assign(model, _load(checkpoint / "weights.npz"))
    model.optimizer.build(model.trainable_variables)
    for variable, value in zip(
        model.optimizer.variables, _load(checkpoint / "optimizer.npz"), strict=True
    ):
        variable.assign(value)
    return history, _load(checkpoint / "average.npz"), _load(checkpoint / "best.npz")


def _load(path):
    with np.load(path, allow_pickle=False) as arrays:
        return [arrays[f"arr_{i}"] for i in range(len(arrays.files))]
