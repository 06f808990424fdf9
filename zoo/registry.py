"""All presets by name."""

from zoo.argument_checks import require_choice
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
PRESETS: dict[str, Preset] = {preset.name: preset for task in _TASKS for preset in task.PRESETS}


def get(name: str) -> Preset:
    """Return the preset with that name.

    Raises:
        ValueError: There is none. The message lists the names.
    """
    return PRESETS[require_choice("preset", name, PRESETS)]


def register_losses() -> None:
    """Register the loss functions of all presets with Keras.

    A model that was compiled with one is saved with its registered name, `zoo>NAME`.
    """
    for preset in PRESETS.values():
        preset.register_loss()
