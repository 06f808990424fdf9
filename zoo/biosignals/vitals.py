"""Running summaries of irregular vital signs: of each one, what is known of it so far.

Each channel, a vital sign or a quotient of two, counts from its usual value in units of its usual
spread, on a logarithmic scale where it is skewed; what was never measured counts as usual.
Values that no patient has are left out. A row looks at its own time and at earlier ones alone.
"""

from dataclasses import dataclass

import numpy as np

from zoo.data.physionet2012 import HOURS, VITALS


@dataclass(frozen=True)
class Channel:
    """Which values of a channel are possible, and which are usual, in the channel's own unit.

    Attributes:
        low: The lowest possible value.
        high: The highest.
        usual: Where it counts from.
        spread: What counts as 1; of the logarithm if `logarithmic`.
        logarithmic: Whether its ratio to the usual value counts, not its difference.
    """

    low: float
    high: float
    usual: float
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
    # Of the arterial line where there is one, else of the cuff.
    "systolic": Channel(40, 280, 118, 22),
    "diastolic": Channel(15, 180, 58, 13),
    "mean pressure": Channel(25, 220, 78, 15),
    "pulse pressure": Channel(5, 180, 58, 18),
    "HR / systolic": Channel(0.15, 4, 0.72, 0.3, True),
    "PaO2 / FiO2": Channel(25, 700, 260, 0.5, True),
    "BUN / Creatinine": Channel(2, 120, 18, 0.5, True),
}
SUMMARIES = ("last", "first", "least", "most", "mean", "recent mean", "change", "fresh", "count")
OTHERS, PERSON = 10, 9
ICU_TYPES = (1, 2, 3, 4)
FEATURES = len(CHANNELS) * len(SUMMARIES) + OTHERS + PERSON
FAR = 5.0
FADING = 12.0
ROOM_AIR = 0.21
USUAL_WEIGHT = 80.0


def features(stay: np.ndarray, static: np.ndarray) -> np.ndarray:
    """What is known at each time of a stay: float32 (times, FEATURES), of order one.

    Args:
        stay: Hours since admission, then `VITALS`, NaN where not measured: (times, 1 + 37).
        static: `STATIC`, NaN where unknown; weights are taken from the stay: (5,).
    """
    hours = stay[:, 0].astype("float64")
    vitals = {name: stay[:, 1 + i].astype("float64") for i, name in enumerate(VITALS)}
    known = _channels(vitals)
    summaries = _summaries(hours, known).reshape(len(hours), -1)
    others = _others(hours, vitals)
    person = np.broadcast_to(_person(static), (len(hours), PERSON))
    return np.concatenate([summaries, others, person], axis=1).astype("float32")


def last_known(values: np.ndarray) -> np.ndarray:
    """Each value, or the last one before that is no NaN; NaN until there is one. Along axis 0."""
    rows = _last_row(np.isfinite(values))
    found = np.take_along_axis(values, np.maximum(rows, 0), axis=0)
    return np.where(rows >= 0, found, np.nan)


def _channels(vitals):
    """Each channel, from its usual value, in units of its spread, NaN where there is none."""
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
        "HR / systolic": _quotient(possible["HR"], systolic),
        "PaO2 / FiO2": possible["PaO2"] / oxygen,
        "BUN / Creatinine": _quotient(possible["BUN"], possible["Creatinine"]),
    }
    return np.stack(
        [_scaled(values, CHANNELS[name]) for name, values in (possible | derived).items()], axis=1
    )


def _possible(values, channel):
    return np.where((values >= channel.low) & (values <= channel.high), values, np.nan)


def _quotient(above, below):
    """The quotient of the last known values, where one of the two is new."""
    new = np.isfinite(above) | np.isfinite(below)
    return np.where(new, last_known(above) / last_known(below), np.nan)


def _scaled(values, channel):
    values = _possible(values, channel)
    away = np.log(values / channel.usual) if channel.logarithmic else values - channel.usual
    return np.clip(away / channel.spread, -FAR, FAR)


def _summaries(hours, values):
    """Each channel's `SUMMARIES` so far, 0 before its first value: (times, channels, 9)."""
    measured = np.isfinite(values)
    count = measured.cumsum(axis=0)
    filled = np.where(measured, values, 0)
    last, row = last_known(values), _last_row(measured)
    first = np.take_along_axis(values, np.argmax(measured, axis=0)[np.newaxis], axis=0)
    recent = _fading(hours, filled) / np.maximum(_fading(hours, measured), 1e-9)
    found = [
        last,
        np.broadcast_to(first, values.shape),
        np.fmin.accumulate(values, axis=0),
        np.fmax.accumulate(values, axis=0),
        filled.cumsum(axis=0) / np.maximum(count, 1),
        recent,
        last - first,
        np.exp((hours[np.maximum(row, 0)] - hours[:, np.newaxis]) / FADING),
        np.log1p(count),
    ]
    return np.where((count > 0)[..., np.newaxis], np.stack(found, axis=-1), 0)


def _others(hours, vitals):
    """Urine, ventilation, and how closely the patient is watched: (times, 10)."""
    weight = _possible(vitals["Weight"], CHANNELS["Weight"])
    weight = np.nan_to_num(last_known(weight), nan=USUAL_WEIGHT)
    collected, urine = np.isfinite(vitals["Urine"]).cumsum(), np.nan_to_num(vitals["Urine"])
    recent = _fading(hours, urine[:, np.newaxis])[:, 0]
    ventilated = np.isfinite(vitals["MechVent"])
    row = _last_row(ventilated)
    rows = np.arange(len(hours))
    return np.stack(
        [
            # In ml per kg and hour; the first hours count as usual ones.
            np.where(collected > 0, np.log((urine.cumsum() / weight + 3) / (hours + 3)), 0),
            np.where(collected > 0, np.log(recent / weight + 0.5), 0),
            np.log1p(collected),
            collected > 0,
            np.log1p(ventilated.cumsum()),
            np.where(row >= 0, np.exp((hours[np.maximum(row, 0)] - hours) / FADING), 0),
            row >= 0,
            np.log1p(np.isfinite(vitals["SysABP"]).cumsum()),
            np.log1p(rows),
            hours / HOURS,
        ],
        axis=1,
    )


def _person(static):
    """Age, gender, height and kind of unit: (9,)."""
    age, gender, height, unit, _ = static
    tall = bool(120 < height < 230)
    return np.array(
        [
            (age - 65) / 17,
            max(age - 75, 0) / 10,
            gender - 0.5 if gender in (0, 1) else 0,
            (np.clip(height, 140, 210) - 170) / 10 if tall else 0,
            tall,
            *(unit == kind for kind in ICU_TYPES),
        ]
    )


def _fading(hours, values):
    """Sums of the values so far, each fading by e in 12 hours."""
    total, found = np.zeros(values.shape[1:]), np.empty(values.shape)
    for i, fade in enumerate(np.exp(-np.diff(hours, prepend=hours[0]) / FADING)):
        total = total * fade + values[i]
        found[i] = total
    return found


def _last_row(known):
    """The row of the last True so far, -1 before the first, along axis 0."""
    rows = np.arange(len(known)).reshape(-1, *[1] * (known.ndim - 1))
    return np.maximum.accumulate(np.where(known, rows, -1), axis=0)
