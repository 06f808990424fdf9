"""Metro traffic: hourly volume on Interstate 94 at Minneapolis, with weather and holidays.

Hogue, Metro Interstate Traffic Volume, UCI Machine Learning Repository, 2019. CC BY 4.0.
"""

import numpy as np

from zoo.data import column_kinds
from zoo.data.dataset import Dataset

FILE = "Metro_Interstate_Traffic_Volume.csv"
INPUTS = {
    "holiday": column_kinds.TEXT,
    "temp": column_kinds.NUMBER,
    "rain_1h": column_kinds.NUMBER,
    "snow_1h": column_kinds.NUMBER,
    "clouds_all": column_kinds.NUMBER,
    "weather_main": column_kinds.TEXT,
    "weather_description": column_kinds.TEXT,
    "date_time": column_kinds.TIME,
}
TARGET = "traffic_volume"
NO_HOLIDAY = "None"
# Limits of valid temperatures (K) and of valid rain in an hour (mm).
COLDEST, WETTEST = 200.0, 1000.0

DATASET = Dataset(
    name="metro_traffic",
    title="Metro Interstate Traffic Volume (Hogue, UCI 492)",
    source=(
        "https://raw.githubusercontent.com/kwiscion/drake/"
        "194e9c05b6a496531a617279519e29ff356bd2d8/data/"
    ),
    license="CC-BY-4.0",
)


def table() -> dict[str, np.ndarray]:
    """The columns of the file."""
    return column_kinds.read(DATASET.fetch()[FILE], {**INPUTS, TARGET: column_kinds.NUMBER})


def bounds(rows: int) -> dict[str, slice]:
    """The rows of each split: the first 75 %, the next 10 % and the last 15 %."""
    first, second = int(0.75 * rows), int(0.85 * rows)
    return {
        "train": slice(0, first),
        "validation": slice(first, second),
        "test": slice(second, rows),
    }


def summary() -> dict[str, int]:
    """Counts of rows, gaps and invalid values."""
    columns = table()
    stamps = columns["date_time"]
    hours = np.diff(stamps.astype("datetime64[h]")).astype(int)
    return {
        "rows": len(stamps),
        "rows of an hour that was there before": len(stamps) - len(np.unique(stamps)),
        "gaps of more than an hour": int((hours > 1).sum()),
        "temperatures of 0 K": int((columns["temp"] < COLDEST).sum()),
        "rain beyond a metre": int((columns["rain_1h"] > WETTEST).sum()),
    }
