"""Runtimes: each runs one time step of a model, and `rollout` feeds its state back."""

from export.runtimes.keras_step import KerasStep
from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import Rollout, predict, rollout
from export.targets import BUILT_IN, MICRO, XNNPACK

# Name of a runtime, as targets have it -> what starts it on the bytes of a file.
RUNTIMES = {
    XNNPACK: LiteRT,
    BUILT_IN: lambda content: LiteRT(content, xnnpack=False),
    MICRO: Micro,
}

__all__ = ["RUNTIMES", "KerasStep", "LiteRT", "Micro", "Rollout", "predict", "rollout"]
