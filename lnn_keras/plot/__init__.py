"""Figures of wirings, states, saliency, trainings and predictions (matplotlib)."""

from lnn_keras.plot.calibration import calibration
from lnn_keras.plot.drift import drift
from lnn_keras.plot.history import history
from lnn_keras.plot.phase_portrait import phase_portrait
from lnn_keras.plot.prediction import prediction
from lnn_keras.plot.saliency import saliency
from lnn_keras.plot.states import states
from lnn_keras.plot.time_constants import time_constants
from lnn_keras.plot.wiring import wiring

__all__ = [
    "calibration",
    "drift",
    "history",
    "phase_portrait",
    "prediction",
    "saliency",
    "states",
    "time_constants",
    "wiring",
]
