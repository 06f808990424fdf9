"""Runtimes: each runs one time step of a model, and `rollout` feeds its state back."""

from export.runtimes.keras_step import KerasStep
from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import Rollout, predict, rollout

__all__ = ["KerasStep", "LiteRT", "Micro", "Rollout", "predict", "rollout"]
