"""MIT-BIH arrhythmia: half-hour recordings of two leads at 360 Hz, every beat annotated.

Moody and Mark, The impact of the MIT-BIH Arrhythmia Database, 2001. ODC-By 1.0. The four
paced records are left out, as AAMI EC57 asks; F and Q beats are left out as well.
"""

from dataclasses import dataclass

import numpy as np

from zoo.data.dataset import DataError, Dataset

HERTZ = 360
CLASSES = ("N", "S", "V")
SYMBOLS = {
    **dict.fromkeys(("N", "L", "R", "e", "j"), 0),
    **dict.fromkeys(("A", "a", "J", "S"), 1),
    **dict.fromkeys(("V", "E"), 2),
}
OTHER_BEATS = ("F", "/", "f", "Q")
# de Chazal et al., Automatic classification of heartbeats, 2004: no patient is in both.
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
    """One recording.

    Attributes:
        name: Its number.
        signal: Millivolts (samples, 2), the lead MLII first.
        peaks: Samples of all annotated beats.
        classes: Index into `CLASSES` of each beat; -1 for a beat of another class.
    """

    name: str
    signal: np.ndarray
    peaks: np.ndarray
    classes: np.ndarray


def records(names: tuple[str, ...]) -> list[Record]:
    """Recordings by name; those of `DS1` train, those of `DS2` test.

    Raises:
        DataError: The package wfdb, which reads them, is not installed; or as `fetch`.
    """
    try:
        import wfdb
    except ImportError as error:
        raise DataError(
            "Reading 'mitdb' needs the package wfdb: pip install 'lnn-keras[biosignals]'."
        ) from error

    paths = DATASET.fetch()
    found = []
    for name in names:
        stem = str(paths[f"{name}.hea"])[: -len(".hea")]
        signal, fields = wfdb.rdsamp(stem)
        # Record 114 has its leads the other way round.
        if fields["sig_name"][1] == "MLII":
            signal = signal[:, ::-1]
        annotation = wfdb.rdann(stem, "atr")
        beats = [
            (sample, SYMBOLS.get(symbol, -1))
            for sample, symbol in zip(annotation.sample, annotation.symbol, strict=True)
            if symbol in SYMBOLS or symbol in OTHER_BEATS
        ]
        peaks, classes = np.array(beats).T
        found.append(Record(name, signal.astype("float32"), peaks, classes))
    return found


def summary() -> dict[str, int]:
    """What the files hold, by count."""
    counts = {}
    for title, names in (("DS1", DS1), ("DS2", DS2)):
        classes = np.concatenate([record.classes for record in records(names)])
        for index, symbol in enumerate(CLASSES):
            counts[f"{title} beats {symbol}"] = int((classes == index).sum())
        counts[f"{title} beats left out (F, Q)"] = int((classes < 0).sum())
    return counts
