"""Tables as streams: a model predicts a table row by row, and learns from its targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.argument_checks import require_choice
from zoo.data import column_kinds
from zoo.readers import table as tables

if TYPE_CHECKING:
    from lnn_keras.adapt import AdaptiveModel
    from zoo.preset import Preset
    from zoo.tables.columns import Columns
    from zoo.tables.sequences import TableSequence

METHODS = ("least-squares", "least-mean-squares")


@dataclass(frozen=True)
class TableStream:
    """A recording: inputs and targets in the order of time.

    Attributes:
        inputs: Arrays (rows, ...), in the order of the model's inputs.
        targets: (rows, outputs) in the units of the model's outputs, NaN where there is none.
    """

    inputs: list[np.ndarray]
    targets: np.ndarray


@dataclass(frozen=True)
class Adapted:
    """Outputs of a model on recordings, frozen and adaptive.

    Attributes:
        frozen: Outputs of the frozen model (rows, outputs), one array per recording.
        adapted: The same of the adaptive model, each row predicted before its target was learned.
        log: What the guards did.
    """

    frozen: list[np.ndarray]
    adapted: list[np.ndarray]
    log: dict[str, Any]


def preset_stream(preset: "Preset", path: Path, max_rows: int) -> TableStream:
    """A table of a preset as one recording.

    Raises:
        ValueError: The preset defines no targets in a table, or the table lacks columns.
    """
    from zoo import registry

    if preset.from_table is None or preset.stream_targets is None:
        able = [name for name, other in registry.PRESETS.items() if other.stream_targets]
        raise ValueError(
            f"{preset.name} finds no targets in a table; `lnn adapt` takes models of `lnn fit`, "
            f"and {', '.join(able)}."
        )
    table = tables.read_cells(path, max_rows)
    numbers = dict.fromkeys(preset.target_columns, column_kinds.NUMBER)
    columns = column_kinds.checked(table, {**preset.columns, **numbers})
    inputs = preset.from_table(columns)
    arrays = list(inputs.values()) if isinstance(inputs, dict) else [inputs]
    return TableStream([array[0] for array in arrays], preset.stream_targets(columns))


def fitted_streams(columns: "Columns", found: Sequence["TableSequence"]) -> list[TableStream]:
    """The groups of a table as recordings, for a model that was fitted to one.

    Raises:
        ValueError: Each group has one class, so nothing is known while it runs.
    """
    if columns.per_group:
        raise ValueError(
            "Each group of the table has one class, which is known at its end: there is nothing to "
            "learn from while the model runs."
        )
    one_hot = np.eye(len(columns.classes), dtype="float32") if columns.classes else None
    streams = []
    for sequence in found:
        targets = sequence.targets
        if one_hot is not None:
            known = (targets >= 0)[:, None]
            targets = np.where(known, one_hot[targets], np.nan)
        streams.append(TableStream(list(sequence.inputs.values()), targets))
    return streams


def adaptive_model(model: Any, method: str, horizon: int) -> "AdaptiveModel":
    """A model that adapts by one of `METHODS`, whose targets are known `horizon` rows later.

    Raises:
        ValueError: Unknown method, or the model has no linear readout.
    """
    from lnn_keras import adapt

    require_choice("method", method, METHODS)
    chosen = adapt.RecursiveLeastSquares() if method == METHODS[0] else adapt.LeastMeanSquares()
    return adapt.AdaptiveModel(model, chosen, delay=horizon)


def run(
    model: Any, adaptive: "AdaptiveModel", streams: Sequence[TableStream], horizon: int
) -> Adapted:
    """Predict recordings one after the other, and learn on.

    Args:
        model: The frozen model.
        adaptive: The same as an adaptive model.
        streams: The recordings; each begins with the initial states of the model.
        horizon: The target of a row is known this many rows later.
    """
    frozen, adapted = [], []
    for stream in streams:
        inputs = [array[None] for array in stream.inputs]
        outputs: Any = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
        frozen.append(outputs[0])
        known = stream.targets
        if horizon:
            late = np.full((min(horizon, len(known)), known.shape[1]), np.nan)
            known = np.concatenate([late, known[:-horizon]])
        adaptive.restart()
        adapted.append(adaptive.observe(stream.inputs, known))
    return Adapted(frozen, adapted, adaptive.log())


def mean_squared_errors(
    streams: Sequence[TableStream], outputs: Sequence[np.ndarray]
) -> np.ndarray:
    """The squared error of each row with a target, averaged over outputs in units of deviation."""
    targets = np.concatenate([stream.targets for stream in streams])
    deviation = np.nanstd(targets, axis=0)
    # Errors of a target that never changes stay in its own unit.
    is_constant = deviation <= 1e-6 * np.nanmax(np.abs(targets), axis=0)
    deviation = np.where(is_constant, 1.0, deviation)
    errors = (np.concatenate(list(outputs)) - targets) / deviation
    known = ~np.isnan(errors).all(axis=1)
    if not known.any():
        raise ValueError("No row of the table has a target.")
    return np.nanmean(errors[known] ** 2, axis=1)
