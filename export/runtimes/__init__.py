"""What runs a file, each with the same two members: `signature` and `invoke`."""

from export.runtimes.keras_step import KerasStep
from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import Rollout, Runtime, predict, rollout
from export.runtimes.start import RUNTIMES, start

__all__ = [
    "RUNTIMES",
    "KerasStep",
    "LiteRT",
    "Micro",
    "Rollout",
    "Runtime",
    "predict",
    "rollout",
    "start",
]
