"""Streams: public data in the order of time, in which something changes at a known step."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data import etth1, half_cheetah
from zoo.extras import extra

if TYPE_CHECKING:
    from zoo.tables.fitted import Fitted

OIL, OIL_EPOCHS = "ETTh1, one hour ahead", 8
GAIN, BIAS, DRIFT, DEAD_SENSOR = 1.5, 0.5, 1.5, "x_velocity"


@dataclass(frozen=True)
class Stream:
    """Inputs and targets over time.

    Attributes:
        name: Name in tables.
        description: What happens in it, in one sentence.
        model: Name of the model that predicts it: a preset, or `OIL`.
        inputs: Arrays (time, ...), in the order of the model's inputs.
        targets: (time, outputs).
        change: Step at which something changes; None if nothing does.
        floor: Factor of the squared error after the change: that of a model which knew the change,
            relative to the frozen model on the unchanged stream. None where it is not known.
    """

    name: str
    description: str
    model: str
    inputs: tuple[np.ndarray, ...]
    targets: np.ndarray
    change: int | None = None
    floor: float | None = None


def half_cheetah_streams() -> tuple[Stream, ...]:
    """The ten test traces one after the other, whole; from their middle on the sensors change.

    The change acts on all observations, so on the targets too, which are the next observations.
    """
    traces = half_cheetah.traces("test")
    change = len(traces) // 2 * (traces.shape[1] - 1)
    deviation = traces.std(axis=(0, 1))
    progress = np.linspace(0, 1, len(traces) * (traces.shape[1] - 1) - change)
    dead = half_cheetah.COLUMNS.index(DEAD_SENSOR)

    def stream(name, description, transform: Callable[[np.ndarray], np.ndarray] | None, floor):
        parts = []
        for values in (traces[:, :-1], traces[:, 1:]):
            rows = values.reshape(-1, values.shape[-1]).astype("float32")
            after = rows[change:] if transform is None else transform(rows[change:])
            parts.append(np.concatenate([rows[:change], after]).astype("float32"))
        place = None if transform is None else change
        return Stream(name, description, "half-cheetah-micro", (parts[0],), parts[1], place, floor)

    def without(rows):
        rows = rows.copy()
        rows[:, dead] = 0
        return rows

    return (
        stream("stationary", "nothing changes", None, None),
        stream("gain jump", f"all sensors read {GAIN} times as much", lambda x: GAIN * x, GAIN**2),
        stream(
            "bias jump",
            f"all sensors read {BIAS} deviations more",
            lambda x: x + BIAS * deviation,
            1.0,
        ),
        stream(
            "slow drift",
            f"the gain of all sensors rises steadily from 1 to {DRIFT}",
            lambda x: x * (1 + (DRIFT - 1) * progress[:, None]),
            float(np.mean((1 + (DRIFT - 1) * progress) ** 2)),
        ),
        stream("dead sensor", f"one sensor ({DEAD_SENSOR}) reads 0", without, None),
    )


def metro_stream() -> Stream:
    """The test part of the traffic on an interstate, about a year, hour by hour."""
    from zoo import registry

    inputs, targets = registry.get("metro-traffic").load_splits(0)["test"]
    named: Any = inputs
    return Stream(
        "traffic",
        "a year of hourly traffic, after the years that the model was trained on",
        "metro-traffic",
        tuple(array[0] for array in named.values()),
        targets[0],
    )


def etth1_stream() -> Stream:
    """The last months of an electricity transformer, one hour ahead, after those of training."""
    from zoo.tables.fitted import read_for

    frame = _oil_frame()
    fitted = _oil_model()
    _, (sequence,), _ = read_for(fitted.columns, frame[_oil_months() :], with_targets=True)
    return Stream(
        "oil temperature",
        "the months after those that the model was trained on, in which the level falls",
        OIL,
        # The last row has no target.
        tuple(array[:-1] for array in sequence.inputs.values()),
        sequence.targets[:-1],
    )


def load(name: str) -> Any:
    """The model of a stream."""
    from zoo.hub import store

    return _oil_model().model if name == OIL else store.load(name)


@functools.cache
def _oil_model() -> "Fitted":
    """A model of the first twelve months, one hour ahead."""
    import keras

    from zoo.tables.fitting import fit

    keras.utils.set_random_seed(0)
    return fit(_oil_frame()[: _oil_months()], "OT", time="date", horizon=1, epochs=OIL_EPOCHS)


def _oil_frame() -> Any:
    with extra("zoo"):
        import pandas as pd

    return pd.read_csv(etth1.DATASET.fetch()["ETTh1.csv"])


def _oil_months():
    return etth1.ROWS["train"][1]
