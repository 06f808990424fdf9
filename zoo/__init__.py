"""Pretrained liquid networks: presets, data, training recipes and the command line `lnn`.

Names are imported when first used, so that `lnn --help` need not wait for TensorFlow.
"""

import importlib

_MODULES = {
    "PRESETS": "zoo.presets",
    "CorruptPresetError": "zoo.store",
    "DownloadError": "zoo.download",
    "Preset": "zoo.preset",
    "card": "zoo.store",
    "exported": "zoo.store",
    "load": "zoo.store",
    "metadata": "zoo.store",
    "publish": "zoo.site",
    "samples": "zoo.store",
    "save": "zoo.store",
}

__all__ = [
    "PRESETS",
    "CorruptPresetError",
    "DownloadError",
    "Preset",
    "card",
    "exported",
    "load",
    "metadata",
    "publish",
    "samples",
    "save",
]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
