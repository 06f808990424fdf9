"""MIT-BIH arrhythmia: half-hour records of two leads at 360 Hz with annotated beats.

Moody and Mark, The impact of the MIT-BIH Arrhythmia Database, 2001. ODC-By 1.0. The four paced
records are excluded, as AAMI EC57 requires; F and Q beats are excluded as well.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.extras import extra

HERTZ = 360
CLASSES = ("N", "S", "V")
SYMBOLS = {
    **dict.fromkeys(("N", "L", "R", "e", "j"), 0),
    **dict.fromkeys(("A", "a", "J", "S"), 1),
    **dict.fromkeys(("V", "E"), 2),
}
OTHER_BEATS = ("F", "/", "f", "Q")
# de Chazal et al., Automatic classification of heartbeats, 2004: no patient is in both sets.
DS1 = tuple(
    "101 106 108 109 112 114 115 116 118 119 122 124 "
    "201 203 205 207 208 209 215 220 223 230".split()
)
DS2 = tuple(
    "100 103 105 111 113 117 121 123 200 202 210 212 "
    "213 214 219 221 222 228 231 232 233 234".split()
)

DATASET = Dataset(
    name="mitdb",
    title="MIT-BIH Arrhythmia Database (Moody and Mark)",
    source=(
        "https://raw.githubusercontent.com/lxysl/mit-bih_ecg_recognition/"
        "6a1964c07733d59765334bb4cc28660254810a60/ecg_data/"
    ),
    license="ODC-By-1.0",
)


@dataclass(frozen=True)
class Record:
    """A record of the database.

    Attributes:
        name: The name, a number.
        signal: Millivolts (samples, 2); the first lead is MLII.
        peaks: Sample indices of all annotated beats.
        classes: Index into `CLASSES` of each beat; -1 for other classes.
    """

    name: str
    signal: np.ndarray
    peaks: np.ndarray
    classes: np.ndarray


def records(names: tuple[str, ...]) -> list[Record]:
    """Read records; those in `DS1` are for training, those in `DS2` for testing.

    Raises:
        MissingExtraError: The package wfdb is not installed.
        DataError: A file is missing, cannot be downloaded, or differs from the published one.
    """
    with extra("biosignals"):
        import wfdb

    paths = DATASET.fetch()
    records = []
    for name in names:
        stem = str(paths[f"{name}.hea"])[: -len(".hea")]
        signal: Any
        signal, fields = wfdb.rdsamp(stem)
        # The leads of record 114 are swapped.
        if fields["sig_name"][1] == "MLII":
            signal = signal[:, ::-1]
        annotation: Any = wfdb.rdann(stem, "atr")
        beats = [
            (sample, SYMBOLS.get(symbol, -1))
            for sample, symbol in zip(annotation.sample, annotation.symbol, strict=True)
            if symbol in SYMBOLS or symbol in OTHER_BEATS
        ]
        peaks, classes = np.array(beats).T
        records.append(Record(name, signal.astype("float32"), peaks, classes))
    return records


def summary() -> dict[str, int]:
    """Counts of beats by set and class."""
    counts = {}
    for title, names in (("DS1", DS1), ("DS2", DS2)):
        classes = np.concatenate([record.classes for record in records(names)])
        for index, symbol in enumerate(CLASSES):
            counts[f"{title} beats {symbol}"] = int((classes == index).sum())
        counts[f"{title} excluded beats (F, Q)"] = int((classes < 0).sum())
    return counts
