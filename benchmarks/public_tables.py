"""Public data as the tables that a user would have: CSV files with a header line."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from zoo.data import etth1, half_cheetah, metro_traffic, mitdb

# Samples of a heartbeat: from 0.3 s before its R peak to 0.45 s after it, every third one.
BEFORE, AFTER, EVERY, RATE = 108, 162, 3, 360
RECORD = "200"
TURBOFAN = "turbofan/train_FD001.txt"


def metro_csv(folder: Path) -> Path:
    """The public file of hourly traffic, as it is."""
    return metro_traffic.DATASET.fetch()[metro_traffic.FILE]


def etth1_csv(folder: Path) -> Path:
    """The public file of an electricity transformer, as it is."""
    return etth1.DATASET.fetch()["ETTh1.csv"]


def half_cheetah_csv(folder: Path) -> Path:
    """All traces of the simulated runner, one after the other."""
    frames = []
    for name, path in sorted(half_cheetah.DATASET.fetch().items()):
        if path.suffix == ".npy":
            frame = pd.DataFrame(np.load(path), columns=list(half_cheetah.COLUMNS))
            frame.insert(0, "step", np.arange(len(frame)))
            frame.insert(0, "trace", Path(name).stem)
            frames.append(frame)
    return _written(pd.concat(frames), folder / "half_cheetah.csv")


def heartbeats_csv(folder: Path) -> Path:
    """The heartbeats of a record with their classes, one recording each."""
    (record,) = mitdb.records((RECORD,))
    frames = []
    for number, (peak, label) in enumerate(zip(record.peaks, record.classes, strict=True)):
        samples = np.arange(peak - BEFORE, peak + AFTER, EVERY)
        if label < 0 or samples[0] < 0 or samples[-1] >= len(record.signal):
            continue
        frame = pd.DataFrame(record.signal[samples], columns=["MLII [mV]", "V1 [mV]"])
        frame.insert(0, "seconds", samples / RATE)
        frame.insert(0, "beat", number)
        frames.append(frame.assign(kind=mitdb.CLASSES[label]))
    return _written(pd.concat(frames), folder / "heartbeats.csv")


def turbofan_csv(folder: Path) -> Path:
    """The engines that ran to failure, with the remaining cycles of each row.

    Raises:
        FileNotFoundError: `LNN_DATA_DIR` lacks the public file.
    """
    source = Path(os.environ.get("LNN_DATA_DIR", "data")) / TURBOFAN
    frame = pd.read_csv(source, sep=r"\s+", header=None)
    settings, sensors = range(1, 4), range(1, 22)
    frame.columns = [
        *("engine", "cycle"),
        *(f"setting_{i}" for i in settings),
        *(f"sensor_{i}" for i in sensors),
    ]
    last = frame.groupby("engine")["cycle"].transform("max")
    return _written(frame.assign(remaining=last - frame["cycle"]), folder / "turbofan.csv")


def _written(frame: pd.DataFrame, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    return path
