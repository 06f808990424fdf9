"""Checkpoints of a training run: weights, optimizer, averages and history in one folder."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lnn_keras.atomic_folder import whole_folder
from zoo.training import distribution

_FOLDER, _STATE = "checkpoint", "state.json"


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
    with whole_folder(Path(directory) / _FOLDER, proof=_STATE) as folder:
        np.savez(folder / "weights.npz", *trainable_values(model))
        np.savez(folder / "optimizer.npz", *_values(model.optimizer.variables))
        np.savez(folder / "average.npz", *state.average)
        np.savez(folder / "best.npz", *state.best)
        history = [asdict(epoch) for epoch in state.history]
        (folder / _STATE).write_text(json.dumps({**identity, "history": history}))


def restore(directory: str | Path, identity: dict[str, Any], model: keras.Model) -> TrainingState:
    """Restore the model and its optimizer from a checkpoint, if there is one.

    Args:
        directory: The folder of the run.
        identity: Recipe and seed of the run.
        model: The compiled model.

    Raises:
        ValueError: The checkpoint has another identity.
    """
    folder = Path(directory) / _FOLDER
    if not (folder / _STATE).is_file():
        return TrainingState(trainable_values(model), trainable_values(model))
    recorded = json.loads((folder / _STATE).read_text())
    history = [Epoch(**epoch) for epoch in recorded.pop("history")]
    if recorded != identity:
        changed = [key for key in identity if recorded.get(key) != identity[key]]
        raise ValueError(
            f"The checkpoint in {folder.parent} was made with another {' and '.join(changed)}; "
            "train in another folder, or remove it."
        )
    assign(model, _load(folder / "weights.npz"))
    model.optimizer.build(model.trainable_variables)
    for variable, value in zip(
        model.optimizer.variables, _load(folder / "optimizer.npz"), strict=True
    ):
        variable.assign(value)
    return TrainingState(_load(folder / "average.npz"), _load(folder / "best.npz"), history)


def _values(variables: Any) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _load(path: Path) -> list[np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return [arrays[f"arr_{i}"] for i in range(len(arrays.files))]
