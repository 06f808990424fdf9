"""The recurrent layer of a model on a sequence: its time constants, in numbers and words."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from lnn_keras import inspect
from lnn_keras.inspect import LayerRecording
from zoo.explain.subject import Subject
from zoo.explain.variations import Window

TIME_CONSTANT = "time_constant"


@dataclass(frozen=True)
class Dynamics:
    """A recorded recurrent layer.

    Attributes:
        layer: The name of the layer.
        recording: Its arrays, see `lnn_keras.inspect.record`.
        others: The names of the further recurrent layers.
    """

    layer: str
    recording: LayerRecording
    others: tuple[str, ...]

    @property
    def cell(self) -> str:
        """The class of the cell."""
        return type(self.recording.cell).__name__

    @property
    def units(self) -> int:
        """The number of neurons."""
        cell = self.recording.cell
        sizes = keras.tree.flatten(cell.state_size)
        units = getattr(cell, "units", sizes[0])
        # The state of a CTGRUCell or a LEFCell has several numbers for each neuron.
        return units if isinstance(units, int) and sizes[0] % units == 0 else sizes[0]

    @property
    def time_constants(self) -> np.ndarray | None:
        """The time constants (steps, neurons); None if the cell has none."""
        if TIME_CONSTANT not in self.recording:
            return None
        values = np.asarray(self.recording[TIME_CONSTANT][0], "float64")
        return values if np.isfinite(values).any() else None


def dynamics(subject: Subject, window: Window) -> Dynamics:
    """Record the recurrent layer that reads the others: the last one with time constants."""
    arrays: Any = list(window.inputs.values())
    recording = inspect.record(subject.model, arrays if len(arrays) > 1 else arrays[0])
    timed = [name for name in recording if TIME_CONSTANT in recording[name]]
    name = (timed or list(recording))[-1]
    return Dynamics(name, recording[name], tuple(n for n in recording if n != name))


def unit_of_time(subject: Subject) -> tuple[float, str]:
    """The factor from a cell's unit of time to the reader's, and the name of that.

    A cell without elapsed times counts steps: a step is its unit.
    """
    if subject.labels.interval is None:
        return 1.0, f"{subject.labels.step}s" if subject.elapsed is None else "units of time"
    return subject.labels.interval, subject.labels.time_unit
