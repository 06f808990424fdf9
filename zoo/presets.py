"""The presets there are, by name."""

from lnn_keras.choices import require_choice
from zoo.control import half_cheetah
from zoo.preset import Preset

PRESETS = {preset.name: preset for preset in (*half_cheetah.PRESETS,)}


def get(name: str) -> Preset:
    """Return the preset of that name.

    Raises:
        ValueError: There is none; the message names those there are.
    """
    return PRESETS[require_choice("preset", name, PRESETS)]
