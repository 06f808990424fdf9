"""The training of a model on the sequences of a table, and its predictions."""

import functools
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.tables import sequences, splits
from zoo.tables.columns import Columns
from zoo.tables.model import RANGE, ModelConfig, Statistics, build, parameters
from zoo.tables.sequences import TableSequence, has_target
from zoo.training.arrays import Arrays, Tensor
from zoo.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    import keras

    from zoo.training.checkpoint import Epoch

Progress = Callable[[str, "Epoch", int], None]
WINDOW = 64
# Outliers are limited to this many standard deviations.
LARGEST = 6.0
# Peak learning rate of the epochs with the rounding of an int8 file.
ROUNDED_RATE = 0.001
# Gradient steps per epoch.
MIN_BATCHES = 64
RECIPE = TrainingRecipe(
    epochs=30,
    batch_size=32,
    learning_rate=0.003,
    weight_decay=0.01,
    noise=0.02,
    average=0.5,
    patience=8,
    checkpoint_every=1000,
)


def limits_of(training: Sequence[TableSequence], columns: Columns) -> np.ndarray:
    """The smallest and the largest number of each column that is no outlier: (numbers, 2).

    The range of all but a thousandth of the values at each end, and half of it more, up to
    `LARGEST` standard deviations of these values.
    """
    rows = _observed_rows(training)[:, : len(columns.numbers)]
    low = _ignoring_nan(functools.partial(np.nanquantile, q=0.001), rows)
    high = _ignoring_nan(functools.partial(np.nanquantile, q=0.999), rows)
    least, greatest = _ignoring_nan(np.nanmin, rows), _ignoring_nan(np.nanmax, rows)
    # A column that is nearly always the same keeps its range.
    is_flat = low == high
    low, high = np.where(is_flat, least, low), np.where(is_flat, greatest, high)
    margin = 0.5 * (high - low)
    typical = np.clip(rows, low - margin, high + margin)
    mean, deviation = _ignoring_nan(np.nanmean, typical), _ignoring_nan(np.nanstd, typical)
    low = np.maximum(low - margin, mean - LARGEST * deviation)
    high = np.minimum(high + margin, mean + LARGEST * deviation)
    return np.nan_to_num(np.stack([low, high], axis=-1))


def _observed_rows(found: Sequence[TableSequence]) -> np.ndarray:
    """The features of all rows, float64, NaN where a number was not observed."""
    rows = np.concatenate([s.inputs[sequences.ROW] for s in found]).astype("float64")
    if sequences.OBSERVED in found[0].inputs:
        observed = np.concatenate([s.inputs[sequences.OBSERVED] for s in found])
        missing = np.zeros_like(rows, bool)
        missing[:, : observed.shape[1]] = observed == 0
        rows[missing] = np.nan
    return rows


def statistics_of(training: Sequence[TableSequence], columns: Columns) -> Statistics:
    """Statistics of the training rows, whose numbers are limited already.

    A forecast normalizes a target as the feature that it is.
    """
    rows = _observed_rows(training)
    mean = np.nan_to_num(_ignoring_nan(np.nanmean, rows))
    largest = _ignoring_nan(np.nanmax, np.abs(rows - mean))
    scale = _positive(largest / RANGE)
    # Categories are 0 and 1 already.
    mean[len(columns.numbers) :], scale[len(columns.numbers) :] = 0.0, 1.0
    if columns.classes:
        return Statistics(mean, scale, *(np.zeros(1), np.ones(1), np.ones(1), np.ones(1)))
    known = [has_target(s.targets) for s in training]
    targets = np.concatenate([s.targets[rows] for s, rows in zip(training, known, strict=True)])
    deviation = _positive(targets.std(axis=0, dtype="float64"))
    if not columns.horizon:
        target_mean = targets.mean(axis=0, dtype="float64")
        return Statistics(mean, scale, target_mean, deviation, deviation, deviation)
    places = places_of(columns)
    last = [
        s.inputs[sequences.ROW][rows][:, places] for s, rows in zip(training, known, strict=True)
    ]
    change = _positive((targets - np.concatenate(last)).std(axis=0, dtype="float64"))
    return Statistics(mean, scale, mean[places], scale[places], deviation, change)


def _ignoring_nan(function: Callable[..., np.ndarray], rows: np.ndarray) -> np.ndarray:
    """A statistic of each feature; NaN, without a warning, for one that was never observed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return function(rows, axis=0)


def _positive(deviation: np.ndarray) -> np.ndarray:
    """Deviations with 1 in the place of 0 and NaN."""
    return np.where(deviation > 0, deviation, 1.0)


def places_of(columns: Columns) -> list[int]:
    """The places of the targets among the features, for forecasts."""
    return [columns.numbers.index(name) for name in columns.targets]


def train(
    columns: Columns,
    config: ModelConfig,
    parts: splits.Parts,
    statistics: Statistics,
    window: int,
    recipe: TrainingRecipe,
    seed: int,
    progress: "Callable[[Epoch], None] | None" = None,
    quantize_aware: int = 0,
) -> "keras.Model":
    """Train a model, and return it with outputs in the units of the targets.

    The last `quantize_aware` epochs, after those of the recipe, compute with the rounding of an
    int8 file.
    """
    import keras

    from zoo.training import loop

    keras.utils.set_random_seed(seed)
    model, trained = build(columns, config, statistics)
    windows = splits.windows(parts["train"], window)
    recipe = replace(recipe, batch_size=min(recipe.batch_size, max(1, len(windows) // 4)))
    # An epoch of a small table repeats it.
    repeats = -(-MIN_BATCHES * recipe.batch_size // len(windows))
    training = _arrays(windows * repeats, columns, statistics)
    validation = _arrays(parts["validation"], columns, statistics)
    is_classes = bool(columns.classes)

    def fit(trained: "keras.Model", recipe: TrainingRecipe) -> None:
        with tempfile.TemporaryDirectory() as directory:
            loop.train(
                trained,
                training,
                validation,
                recipe,
                seed,
                directory,
                progress,
                loss=_cross_entropy if is_classes else _squared_error,
                validation_loss=_validation_entropy if is_classes else _validation_error,
            )

    fit(trained, recipe)
    if quantize_aware:
        from export import compress

        # The rounded model shares its weights with the trained one.
        rounded = compress.quantize_aware(trained)
        fit(rounded, replace(recipe, epochs=quantize_aware, learning_rate=ROUNDED_RATE))
    return model


def lstm_config(columns: Columns, config: ModelConfig, size: int) -> ModelConfig:
    """The LSTM whose number of parameters is nearest to `size`."""
    candidates = [replace(config, cell="lstm", units=units) for units in range(1, 513)]
    return min(candidates, key=lambda c: abs(parameters(columns, c) - size))


def predictions(
    model: "keras.Model", found: Sequence[TableSequence], rows_at_once: int = 1 << 20
) -> list[np.ndarray]:
    """Predictions (rows, outputs) of each sequence, which starts from the initial states.

    Sequences of similar length run together.
    """
    results: dict[int, np.ndarray] = {}
    order = sorted(range(len(found)), key=lambda i: len(found[i]))
    while order:
        longest = len(found[order[-1]])
        count = max(1, rows_at_once // max(longest, 1))
        batch, order = order[-count:], order[:-count]
        inputs, _ = sequences.stacked([found[i] for i in batch])
        arrays: Any = inputs if len(inputs) > 1 else inputs[sequences.ROW]
        outputs: Any = model.predict(arrays, batch_size=64, verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
        for i, output in zip(batch, outputs, strict=True):
            results[i] = output[: len(found[i])]
    return [results[i] for i in range(len(found))]


def _arrays(found: Sequence[TableSequence], columns: Columns, statistics: Statistics) -> Arrays:
    inputs, targets = sequences.stacked(found)
    if not columns.classes:
        if columns.horizon:
            targets = targets - inputs[sequences.ROW][..., places_of(columns)]
        else:
            targets = targets - statistics.target_mean
        targets = (targets / statistics.change).astype("float32")
    return inputs if len(inputs) > 1 else inputs[sequences.ROW], targets


def _squared_error(targets: Tensor, predicted: Tensor) -> Tensor:
    """Mean squared error of the rows that have targets; NaN stands for none."""
    import keras

    ops: Any = keras.ops
    known = ops.isfinite(targets)
    errors = ops.where(known, targets, 0.0) - ops.where(known, predicted, 0.0)
    return ops.sum(errors**2) / ops.maximum(ops.sum(ops.cast(known, errors.dtype)), 1.0)


def _cross_entropy(targets: Tensor, predicted: Tensor) -> Tensor:
    """Mean cross-entropy of the rows that have a class; -1 stands for none."""
    import keras

    ops: Any = keras.ops
    classes = ops.cast(targets, "int32")
    known = ops.cast(classes >= 0, predicted.dtype)
    entropy = keras.losses.sparse_categorical_crossentropy(
        ops.maximum(classes, 0), predicted, from_logits=True
    )
    return ops.sum(known * entropy) / ops.maximum(ops.sum(known), 1.0)


def _validation_error(targets: np.ndarray, predicted: np.ndarray) -> float:
    known = np.isfinite(targets)
    return float(np.mean((targets[known] - predicted[known].astype("float64")) ** 2))


def _validation_entropy(targets: np.ndarray, predicted: np.ndarray) -> float:
    known = targets >= 0
    logits = predicted[known].astype("float64")
    logits -= logits.max(axis=-1, keepdims=True)
    own = np.take_along_axis(logits, targets[known][:, None], axis=-1)[:, 0]
    return float(np.mean(np.log(np.exp(logits).sum(axis=-1)) - own))
