"""Pretrained liquid networks: presets, datasets, training recipes and the command line `lnn`.

Names are imported when first used, so `import zoo` does not import Keras.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.downloads import DownloadError
    from zoo.hub.publish import publish
    from zoo.hub.store import card, exported, load, metadata, samples, save
    from zoo.hub.verified_folder import CorruptPresetError
    from zoo.preset import Preset
    from zoo.registry import PRESETS
    from zoo.tables.fitted import Fitted
    from zoo.tables.fitting import fit

_MODULES = {
    "PRESETS": "zoo.registry",
    "CorruptPresetError": "zoo.hub.verified_folder",
    "DownloadError": "zoo.downloads",
    "Fitted": "zoo.tables.fitted",
    "Preset": "zoo.preset",
    "card": "zoo.hub.store",
    "exported": "zoo.hub.store",
    "fit": "zoo.tables.fitting",
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
    "Fitted",
    "Preset",
    "card",
    "exported",
    "fit",
    "load",
    "metadata",
    "publish",
    "samples",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
