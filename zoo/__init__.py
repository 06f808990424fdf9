"""Pretrained liquid networks: presets, data, training recipes and the command line `lnn`."""

from zoo.preset import Preset
from zoo.presets import PRESETS
from zoo.store import CorruptPresetError, card, load, metadata, samples, save

__all__ = [
    "PRESETS",
    "CorruptPresetError",
    "Preset",
    "card",
    "load",
    "metadata",
    "samples",
    "save",
]
