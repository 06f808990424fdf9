"""Checkpoints of a training run: weights, optimizer, averages and history in one folder."""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lnn_keras.atomic_folder import recover, whole_folder
from zoo.readers import arrays, json_text
from zoo.readers.files import FileError, reason
from zoo.training import distribution

_FOLDER, _STATE = "checkpoint", "state.json"
_ARRAYS = ("weights", "optimizer", "average", "best")


class _DamagedError(Exception):
    """A file of a checkpoint is missing or damaged."""


@dataclass(frozen=True)
class Epoch:
    """The result of an epoch; `seconds` is its duration."""

    epoch: int
    loss: float
    validation_loss: float
    seconds: float


@dataclass
class TrainingState:
    """The state of a training run in addition to the model and the optimizer.

    Attributes:
        average: Averaged weights.
        best: Averaged weights of the epoch with the best validation loss.
        history: All epochs so far.
    """

    average: list[np.ndarray]
    best: list[np.ndarray]
    history: list[Epoch] = field(default_factory=list)

    @property
    def best_loss(self) -> float:
        """The best validation loss so far."""
        return min((epoch.validation_loss for epoch in self.history), default=np.inf)


def trainable_values(model: keras.Model) -> list[np.ndarray]:
    """The trainable weights of a model."""
    return _values(model.trainable_variables)


def assign(model: keras.Model, values: list[np.ndarray]) -> None:
    """Set the trainable weights of a model."""
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)


def write(
    directory: str | Path, identity: dict[str, Any], model: keras.Model, state: TrainingState
) -> None:
    """Write a checkpoint; it replaces the previous one as a whole."""
    if distribution.process()[0] != 0:
        return
    values = {
        "weights": trainable_values(model),
        "optimizer": _values(model.optimizer.variables),
        "average": state.average,
        "best": state.best,
    }
    with whole_folder(Path(directory) / _FOLDER, proof=_STATE) as folder:
        for name in _ARRAYS:
            np.savez(folder / f"{name}.npz", *values[name])
        content = {**identity, "history": [asdict(epoch) for epoch in state.history]}
        (folder / _STATE).write_text(json.dumps({**content, "sha256": _digest(content)}))


def restore(directory: str | Path, identity: dict[str, Any], model: keras.Model) -> TrainingState:
    """Restore the model and its optimizer from a checkpoint, if there is one.

    A checkpoint that cannot be read is renamed to `checkpoint.damaged`, a line on stderr says so,
    and the training starts anew.

    Args:
        directory: The folder of the run.
        identity: Recipe and seed of the run.
        model: The compiled model.

    Raises:
        ValueError: The checkpoint has another identity, or is one of another model.
    """
    folder = Path(directory) / _FOLDER
    recover(folder)
    # The variables of the optimizer exist only once it is built.
    model.optimizer.build(model.trainable_variables)
    initial = TrainingState(trainable_values(model), trainable_values(model))
    if not folder.exists():
        return initial
    try:
        recorded, history = _read_state(folder / _STATE)
        _require_identity(recorded, identity, folder)
        values = {name: _load(folder / f"{name}.npz") for name in _ARRAYS}
    except _DamagedError as error:
        _set_aside(folder, error)
        return initial
    _require_shapes(values, model, folder)
    assign(model, values["weights"])
    for variable, value in zip(model.optimizer.variables, values["optimizer"], strict=True):
        variable.assign(value)
    return TrainingState(values["average"], values["best"], history)


def _require_identity(recorded: dict[str, Any], identity: dict[str, Any], folder: Path) -> None:
    if recorded != identity:
        changed = [key for key in identity if recorded.get(key) != identity[key]]
        raise ValueError(
            f"The checkpoint in {folder.parent} was made with another {' and '.join(changed)}; "
            "train in another folder, or remove it."
        )


def _require_shapes(
    restored: dict[str, list[np.ndarray]], model: keras.Model, folder: Path
) -> None:
    optimizer = [tuple(variable.shape) for variable in model.optimizer.variables]
    weights = [tuple(variable.shape) for variable in model.trainable_variables]
    for name, values in restored.items():
        expected = optimizer if name == "optimizer" else weights
        if [array.shape for array in values] != expected:
            raise ValueError(
                f"The checkpoint in {folder.parent} is one of another model: the shapes of its "
                f"{name} differ; train in another folder, or remove it."
            )


def _set_aside(folder: Path, error: _DamagedError) -> None:
    """Rename a damaged checkpoint; nothing is deleted."""
    if distribution.process()[0] != 0:
        return
    aside, number = folder.with_name(f"{folder.name}.damaged"), 2
    while aside.exists():
        aside, number = folder.with_name(f"{folder.name}.damaged-{number}"), number + 1
    folder.rename(aside)
    print(
        f"The checkpoint {folder} is damaged ({error}); it was renamed to {aside.name}, and the "
        "training starts anew.",
        file=sys.stderr,
    )


def _values(variables: Any) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _read_state(path: Path) -> tuple[dict[str, Any], list[Epoch]]:
    """The identity and the history in a checkpoint."""
    content = _read(json_text.read_object, path)
    try:
        # Version 0.1.0 wrote no digest.
        digest = content.pop("sha256", None)
        if digest is not None and digest != _digest(content):
            raise ValueError("its digest is another")
        history = [Epoch(**epoch) for epoch in content.pop("history")]
    except (ValueError, LookupError, TypeError) as error:
        raise _DamagedError(f"{path.name} holds no state of a training: {reason(error)}") from error
    return content, history


def _load(path: Path) -> list[np.ndarray]:
    """The arrays in a file of a checkpoint, whose checksums are compared."""
    named = _read(arrays.read_named, path)
    try:
        return [named[f"arr_{i}"] for i in range(len(named))]
    except KeyError as error:
        raise _DamagedError(f"{path.name} lacks the array {error}") from error


def _read(reader: Callable[[Path], Any], path: Path) -> Any:
    """The content of a file. A disk that cannot be read is no damage of the file."""
    try:
        return reader(path)
    except FileError as error:
        if isinstance(error.__cause__, OSError):
            raise
        raise _DamagedError(reason(error)) from error


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
