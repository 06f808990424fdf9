"""One training loop for all tasks: seeds, early stopping, progress, resume after a kill."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from export.folder import whole_folder
from lnn_keras.choices import require_choice

_CHECKPOINT = "checkpoint"
_VALIDATIONS = {"mean": np.mean, "median": np.median}


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
        noise: Standard deviation of Gaussian noise on the training inputs, as a
            share of each feature's own.
        average: Weight of the past in the average of the weights over epochs, which
            is what validation sees and what training returns.
        patience: Epochs without a better validation loss after which training stops.
        validate_on: "mean" or "median" over the validation sequences of their mean
            squared errors; the median ignores a few that are unlike all others.
        checkpoint_every: Epochs between checkpoints.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    noise: float = 0.0
    average: float = 0.0
    patience: int = 20
    validate_on: str = "mean"
    checkpoint_every: int = 5

    def __post_init__(self):
        for name in ("epochs", "batch_size", "patience", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1; received {getattr(self, name)!r}.")
        require_choice("validation", self.validate_on, _VALIDATIONS)
        if not 0 <= self.average < 1:
            raise ValueError(f"`average` must be in [0, 1); received {self.average!r}.")


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave; `seconds` is the time that it took."""

    epoch: int
    loss: float
    validation_loss: float
    seconds: float


Arrays = tuple[np.ndarray, np.ndarray]


def train(
    model: keras.Model,
    training: Arrays,
    validation: Arrays,
    recipe: Recipe,
    seed: int,
    directory: str | Path,
    progress: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train a built model in place; it ends with the weights that validated best.

    The order of the data and the noise depend on the seed and the epoch alone. A
    run that was killed goes on from its last checkpoint in `directory`, to the
    result it would have had.

    Args:
        model: The model; its weights are its start.
        training: Inputs and targets, each (sequences, time, ...).
        validation: The same; chooses the weights and the end.
        recipe: How to train.
        seed: Seed of the order and the noise.
        directory: Where checkpoints lie.
        progress: Called after each epoch.

    Returns:
        All epochs, those before a resume included.

    Raises:
        ValueError: The checkpoint in `directory` belongs to another recipe or seed.
        FloatingPointError: The loss is no longer finite.
    """
    checkpoint = Path(directory) / _CHECKPOINT
    identity = {"recipe": asdict(recipe), "seed": seed}
    inputs, targets = training
    steps = len(inputs) // recipe.batch_size
    if steps < 1:
        raise ValueError(
            f"`batch_size` is {recipe.batch_size}, but there are only {len(inputs)} sequences."
        )
    model.compile(_optimizer(recipe, steps), loss="mse")
    spread = recipe.noise * inputs.std(axis=(0, 1))
    history, average, best = _resume(checkpoint, identity, model)

    while not _finished(history, recipe):
        epoch, start = len(history), time.perf_counter()
        random = np.random.default_rng([seed, epoch])
        chosen = random.permutation(len(inputs))[: steps * recipe.batch_size]
        noise = random.standard_normal(inputs[chosen].shape, "float32") * spread
        fitted = model.fit(
            inputs[chosen] + noise,
            targets[chosen],
            batch_size=recipe.batch_size,
            shuffle=False,
            verbose=0,
        )
        loss = fitted.history["loss"][0]
        if not np.isfinite(loss):
            raise FloatingPointError(f"The training loss became {loss} in epoch {epoch + 1}.")
        # Early epochs count fully, or the average would hold on to the first weights.
        past = min(recipe.average, epoch / (epoch + 1))
        weights = _values(model)
        average = [past * m + (1 - past) * w for m, w in zip(average, weights, strict=True)]
        # Validation sees the average of the weights; training goes on from the weights.
        _assign(model, average)
        errors = squared_errors(model, *validation)
        _assign(model, weights)
        validation_loss = float(_VALIDATIONS[recipe.validate_on](errors))
        if validation_loss < min((e.validation_loss for e in history), default=np.inf):
            best = average
        history.append(Epoch(epoch, float(loss), validation_loss, time.perf_counter() - start))
        if progress:
            progress(history[-1])
        if len(history) % recipe.checkpoint_every == 0 or _finished(history, recipe):
            _save(checkpoint, identity, model, average, best, history)
    _assign(model, best)
    return history


def squared_errors(model: keras.Model, inputs, targets) -> np.ndarray:
    """Mean squared error of a model on each sequence: (sequences,)."""
    predicted = model.predict(inputs, batch_size=512, verbose=0)
    return ((predicted.astype("float64") - targets) ** 2).mean(axis=(1, 2))


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
    return [variable.numpy() for variable in model.trainable_variables]


def _assign(model, values):
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)


def _save(checkpoint, identity, model, average, best, history):
    with whole_folder(checkpoint, proof="state.json") as folder:
        model.save(folder / "model.keras")
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
    saved = keras.saving.load_model(checkpoint / "model.keras")
    _assign(model, _values(saved))
    model.optimizer.build(model.trainable_variables)
    for variable, value in zip(model.optimizer.variables, saved.optimizer.variables, strict=True):
        variable.assign(value)
    return history, _load(checkpoint / "average.npz"), _load(checkpoint / "best.npz")


def _load(path):
    with np.load(path, allow_pickle=False) as arrays:
        return [arrays[f"arr_{i}"] for i in range(len(arrays.files))]
