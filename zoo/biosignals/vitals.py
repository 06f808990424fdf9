"""Running summaries of irregularly measured vital signs.

Each channel is a vital sign or a ratio of two. Its values are normalized by a typical value and a
typical spread, on a logarithmic scale if they are skewed. A channel without measurements counts as
typical, and impossible values are ignored. All summaries are causal.
"""

import functools
from dataclasses import dataclass

import numpy as np

from zoo.data.physionet2012 import HOURS, STATIC, VITALS


@dataclass(frozen=True)
class Channel:
    """The possible and the typical values of a channel, in the unit of the channel.

    Attributes:
        low: Lowest possible value.
        high: Highest possible value.
        typical: The value that is normalized to 0.
        spread: The difference that is normalized to 1; of logarithms if `logarithmic`.
        logarithmic: Whether to use the logarithm of the ratio to `typical`, not the difference.
    """

    low: float
    high: float
    typical: float
    spread: float
    logarithmic: bool = False


CHANNELS = {
    "Albumin": Channel(0.5, 7, 3.6, 0.6),
    "ALP": Channel(5, 3000, 80, 0.6, True),
    "ALT": Channel(1, 20000, 30, 1.2, True),
    "AST": Channel(1, 20000, 35, 1.2, True),
    "Bilirubin": Channel(0.05, 60, 0.8, 0.9, True),
    "BUN": Channel(1, 300, 18, 0.7, True),
    "Cholesterol": Channel(20, 400, 155, 0.3, True),
    "Creatinine": Channel(0.1, 30, 1, 0.6, True),
    "FiO2": Channel(0.2, 1, 0.4, 0.2),
    "GCS": Channel(3, 15, 15, 4),
    "Glucose": Channel(10, 1500, 125, 0.35, True),
    "HCO3": Channel(3, 60, 24, 4.5),
    "HCT": Channel(8, 70, 31, 5),
    "HR": Channel(15, 250, 85, 17),
    "K": Channel(1.5, 12, 4.1, 0.15, True),
    "Lactate": Channel(0.2, 40, 1.6, 0.6, True),
    "Mg": Channel(0.5, 10, 1.9, 0.2, True),
    "Na": Channel(95, 185, 139, 4.5),
    "PaCO2": Channel(8, 150, 40, 8),
    "PaO2": Channel(20, 600, 110, 0.5, True),
    "pH": Channel(6.6, 7.9, 7.4, 0.07),
    "Platelets": Channel(3, 1500, 200, 0.6, True),
    "RespRate": Channel(3, 70, 19, 5),
    "SaO2": Channel(50, 100, 97, 3),
    "Temp": Channel(28, 43, 37, 0.9),
    "TroponinI": Channel(0.05, 60, 0.4, 1.5, True),
    "TroponinT": Channel(0.005, 30, 0.05, 1.6, True),
    "WBC": Channel(0.1, 250, 11, 0.5, True),
    "Weight": Channel(30, 300, 80, 20),
    # Measured by the arterial line if there is one, otherwise by the cuff.
    "systolic": Channel(40, 280, 118, 22),
    "diastolic": Channel(15, 180, 58, 13),
    "mean pressure": Channel(25, 220, 78, 15),
    "pulse pressure": Channel(5, 180, 58, 18),
    "HR / systolic": Channel(0.15, 4, 0.72, 0.3, True),
    "PaO2 / FiO2": Channel(25, 700, 260, 0.5, True),
    "BUN / Creatinine": Channel(2, 120, 18, 0.5, True),
}
SUMMARIES = ("last", "first", "least", "most", "mean", "recent mean", "change", "fresh", "count")
ICU_TYPES = (1, 2, 3, 4)
_OTHERS = (
    *("urine per hour", "recent urine", "urine: count", "urine known"),
    *("ventilation: count", "ventilation: fresh", "ventilated"),
    *("arterial line: count", "measurements: count", "hours since admission"),
)
_STATIC = (
    *("age", "age above 75", "gender", "height", "height known"),
    *("coronary care", "cardiac surgery recovery", "medical ICU", "surgical ICU"),
)
# The columns of `features`.
FEATURE_NAMES = (
    *(f"{channel}: {summary}" for channel in CHANNELS for summary in SUMMARIES),
    *_OTHERS,
    *_STATIC,
)
STATIC_FEATURES, FEATURES = len(_STATIC), len(FEATURE_NAMES)
# Normalized values are clipped at +-MAX_DEVIATION.
MAX_DEVIATION = 5.0
# Time constant of exponential decay, in hours.
DECAY_HOURS = 12.0
ROOM_AIR = 0.21
TYPICAL_WEIGHT = 80.0


def features(stay: np.ndarray, static: np.ndarray) -> np.ndarray:
    """The summaries at each time of a stay: float32 (times, FEATURES), of order 1.

    Args:
        stay: Hours since admission, then `VITALS`, NaN if not measured: (times, 1 + 37).
        static: `STATIC`, NaN if unknown: (5,). The weight is not used; it is a channel of `stay`.
    """
    hours = stay[:, 0].astype("float64")
    vitals = {name: stay[:, 1 + i].astype("float64") for i, name in enumerate(VITALS)}
    summaries = _summaries(hours, _channels(vitals)).reshape(len(hours), -1)
    others = _others(hours, vitals)
    static_features = np.broadcast_to(_static(static), (len(hours), STATIC_FEATURES))
    return np.concatenate([summaries, others, static_features], axis=1).astype("float32")


def features_before_vitals(static: np.ndarray) -> np.ndarray:
    """The summaries at admission, before any measurement: float32 (FEATURES,)."""
    summaries = _before_vitals().copy()
    summaries[-STATIC_FEATURES:] = _static(static)
    return summaries


@functools.cache
def _before_vitals() -> np.ndarray:
    """`features` of a stay without measurements; the person does not matter."""
    stay = np.full((1, 1 + len(VITALS)), np.nan)
    stay[0, 0] = 0
    return features(stay, np.zeros(len(STATIC)))[0]


def last_known(values: np.ndarray) -> np.ndarray:
    """Replace each NaN by the last value before it along axis 0; NaN if there is none."""
    rows = _last_row(np.isfinite(values))
    last = np.take_along_axis(values, np.maximum(rows, 0), axis=0)
    return np.where(rows >= 0, last, np.nan)


def _channels(vitals: dict[str, np.ndarray]) -> np.ndarray:
    """Normalized values of all channels, NaN if not measured: (times, channels)."""
    possible = {
        name: _possible(vitals[name], channel)
        for name, channel in CHANNELS.items()
        if name in vitals
    }
    systolic, diastolic, mean = (
        np.where(_possible(arterial, CHANNELS[name]) > 0, arterial, cuff)
        for name, arterial, cuff in (
            ("systolic", vitals["SysABP"], vitals["NISysABP"]),
            ("diastolic", vitals["DiasABP"], vitals["NIDiasABP"]),
            ("mean pressure", vitals["MAP"], vitals["NIMAP"]),
        )
    )
    mean = np.where(np.isnan(mean), (systolic + 2 * diastolic) / 3, mean)
    systolic = _possible(systolic, CHANNELS["systolic"])
    oxygen = np.nan_to_num(last_known(possible["FiO2"]), nan=ROOM_AIR)
    derived = {
        "systolic": systolic,
        "diastolic": diastolic,
        "mean pressure": mean,
        "pulse pressure": systolic - diastolic,
        "HR / systolic": _ratio(possible["HR"], systolic),
        "PaO2 / FiO2": possible["PaO2"] / oxygen,
        "BUN / Creatinine": _ratio(possible["BUN"], possible["Creatinine"]),
    }
    return np.stack(
        [_normalized(values, CHANNELS[name]) for name, values in (possible | derived).items()],
        axis=1,
    )


def _possible(values: np.ndarray, channel: Channel) -> np.ndarray:
    return np.where((values >= channel.low) & (values <= channel.high), values, np.nan)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The ratio of the last known values, at times at which one of the two was measured."""
    measured = np.isfinite(numerator) | np.isfinite(denominator)
    return np.where(measured, last_known(numerator) / last_known(denominator), np.nan)


def _normalized(values: np.ndarray, channel: Channel) -> np.ndarray:
    values = _possible(values, channel)
    typical = channel.typical
    difference = np.log(values / typical) if channel.logarithmic else values - typical
    return np.clip(difference / channel.spread, -MAX_DEVIATION, MAX_DEVIATION)


def _summaries(hours: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`SUMMARIES` of each channel, 0 before its first value: (times, channels, 9)."""
    measured = np.isfinite(values)
    count = measured.cumsum(axis=0)
    filled = np.where(measured, values, 0)
    last, row = last_known(values), _last_row(measured)
    first = np.take_along_axis(values, np.argmax(measured, axis=0)[np.newaxis], axis=0)
    recent = _decaying_sum(hours, filled) / np.maximum(_decaying_sum(hours, measured), 1e-9)
    summaries = [
        last,
        np.broadcast_to(first, values.shape),
        np.fmin.accumulate(values, axis=0),
        np.fmax.accumulate(values, axis=0),
        filled.cumsum(axis=0) / np.maximum(count, 1),
        recent,
        last - first,
        np.exp((hours[np.maximum(row, 0)] - hours[:, np.newaxis]) / DECAY_HOURS),
        np.log1p(count),
    ]
    return np.where((count > 0)[..., np.newaxis], np.stack(summaries, axis=-1), 0)


def _others(hours: np.ndarray, vitals: dict[str, np.ndarray]) -> np.ndarray:
    """Urine, ventilation, and the frequency of measurements: (times, 10)."""
    weight = _possible(vitals["Weight"], CHANNELS["Weight"])
    weight = np.nan_to_num(last_known(weight), nan=TYPICAL_WEIGHT)
    collected, urine = np.isfinite(vitals["Urine"]).cumsum(), np.nan_to_num(vitals["Urine"])
    recent = _decaying_sum(hours, urine[:, np.newaxis])[:, 0]
    ventilated = np.isfinite(vitals["MechVent"])
    row = _last_row(ventilated)
    rows = np.arange(len(hours))
    return np.stack(
        [
            # ml per kg and hour; 3 ml per kg in 3 earlier hours are added.
            np.where(collected > 0, np.log((urine.cumsum() / weight + 3) / (hours + 3)), 0),
            np.where(collected > 0, np.log(recent / weight + 0.5), 0),
            np.log1p(collected),
            collected > 0,
            np.log1p(ventilated.cumsum()),
            np.where(row >= 0, np.exp((hours[np.maximum(row, 0)] - hours) / DECAY_HOURS), 0),
            row >= 0,
            np.log1p(np.isfinite(vitals["SysABP"]).cumsum()),
            np.log1p(rows),
            hours / HOURS,
        ],
        axis=1,
    )


def _static(static: np.ndarray) -> np.ndarray:
    """Age, gender, height and type of unit: (9,)."""
    age, gender, height, unit, _ = static
    is_height = bool(120 < height < 230)
    return np.array(
        [
            (age - 65) / 17,
            max(age - 75, 0) / 10,
            gender - 0.5 if gender in (0, 1) else 0,
            (np.clip(height, 140, 210) - 170) / 10 if is_height else 0,
            is_height,
            *(unit == kind for kind in ICU_TYPES),
        ]
    )


def _decaying_sum(hours: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Running sums with exponential decay over `DECAY_HOURS`."""
    total, sums = np.zeros(values.shape[1:]), np.empty(values.shape)
    for i, decay in enumerate(np.exp(-np.diff(hours, prepend=hours[0]) / DECAY_HOURS)):
        total = total * decay + values[i]
        sums[i] = total
    return sums


def _last_row(known: np.ndarray) -> np.ndarray:
    """Index of the last True along axis 0, -1 before the first."""
    rows = np.arange(len(known)).reshape(-1, *[1] * (known.ndim - 1))
    return np.maximum.accumulate(np.where(known, rows, -1), axis=0)
