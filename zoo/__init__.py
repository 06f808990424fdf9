"""Pretrained liquid networks: presets, data, training recipes and the command line `lnn`.

Names are imported when first used, so that `lnn --help` need not wait for TensorFlow.
"""

import importlib

_MODULES = {
    "PRESETS": "zoo.registry",
    "CorruptPresetError": "zoo.hub.store",
    "DownloadError": "zoo.hub.download",
    "Preset": "zoo.preset",
    "card": "zoo.hub.store",
    "exported": "zoo.hub.store",
    "load": "zoo.hub.store",
    "metadata": "zoo.hub.store",
    "publish": "zoo.hub.publish",
    "samples": "zoo.hub.store",
    "save": "zoo.hub.store",
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
