"""ETTh1: oil temperature and loads of an electricity transformer, hourly for two years.

Zhou et al., Informer, 2021. CC BY-ND 4.0: downloaded, never shipped.
"""

import numpy as np

from zoo.data import column_kinds
from zoo.data.dataset import Dataset

COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
# 12, 4 and 4 months of 30 days, as in all published results on this file.
ROWS = {"train": (0, 8640), "validation": (8640, 11520), "test": (11520, 14400)}

DATASET = Dataset(
    name="etth1",
    title="Electricity Transformer Temperature, ETTh1 (Zhou et al.)",
    source=(
        "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/"
        "1d16c8f4f943005d613b5bc962e9eeb06058cf07/ETT-small/"
    ),
    license="CC-BY-ND-4.0",
    shippable=False,
)


def series() -> np.ndarray:
    """The seven variables of each hour: float64 (17420, 7)."""
    kinds: dict[str, str] = dict.fromkeys(COLUMNS, column_kinds.NUMBER)
    table = column_kinds.read(DATASET.fetch()["ETTh1.csv"], kinds)
    return np.stack([table[name] for name in COLUMNS], axis=-1)


def scaling() -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each variable over the training rows."""
    training = series()[slice(*ROWS["train"])]
    return training.mean(axis=0), training.std(axis=0)


def splits(look_back: int, horizon: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """All windows of z-scored hours that have their targets in the rows of a split.

    Args:
        look_back: Number of input hours; they may lie before the rows of the split.
        horizon: Number of hours to forecast.

    Returns:
        Inputs (windows, look_back, 7) and targets (windows, horizon, 7) of each split.
    """
    mean, deviation = scaling()
    scaled = ((series() - mean) / deviation).astype("float32")
    windows = np.lib.stride_tricks.sliding_window_view(scaled, look_back + horizon, axis=0)
    # Axes (window, variable, hour) -> (window, hour, variable).
    windows = windows.transpose(0, 2, 1)
    splits = {}
    for name, (start, end) in ROWS.items():
        first, last = max(start - look_back, 0), end - look_back - horizon
        chosen = windows[first : last + 1]
        splits[name] = chosen[:, :look_back], chosen[:, look_back:]
    return splits


def summary() -> dict[str, int]:
    """Counts of rows and invalid rows."""
    values = series()
    return {"rows": len(values), "rows used": ROWS["test"][1], "bad rows": 0}
