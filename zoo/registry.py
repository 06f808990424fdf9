"""The presets there are, by name."""

from lnn_keras.argument_checks import require_choice
from zoo.biosignals import ecg_arrhythmia, icu_mortality
from zoo.control import half_cheetah, walker2d
from zoo.driving import car_following, lane_keeping
from zoo.forecasting import etth1_96, metro_traffic
from zoo.preset import Preset

_TASKS = (
    half_cheetah,
    walker2d,
    etth1_96,
    metro_traffic,
    icu_mortality,
    ecg_arrhythmia,
    car_following,
    lane_keeping,
)
PRESETS = {preset.name: preset for task in _TASKS for preset in task.PRESETS}


def get(name: str) -> Preset:
    """Return the preset of that name.

    Raises:
        ValueError: There is none; the message names those there are.
    """
    return PRESETS[require_choice("preset", name, PRESETS)]
