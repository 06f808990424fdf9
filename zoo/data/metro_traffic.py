"""Metro traffic: hourly volume on Interstate 94 at Minneapolis, with weather and holidays.

Hogue, Metro Interstate Traffic Volume, UCI Machine Learning Repository, 2019. CC BY 4.0.
"""

from datetime import datetime

import numpy as np

from zoo.data import csv_table
from zoo.data.dataset import Dataset

FILE = "Metro_Interstate_Traffic_Volume.csv"
INPUTS = {
    "holiday": csv_table.TEXT,
    "temp": csv_table.NUMBER,
    "rain_1h": csv_table.NUMBER,
    "snow_1h": csv_table.NUMBER,
    "clouds_all": csv_table.NUMBER,
    "weather_main": csv_table.TEXT,
    "weather_description": csv_table.TEXT,
    "date_time": csv_table.TEXT,
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
    return csv_table.read(DATASET.fetch()[FILE], {**INPUTS, TARGET: csv_table.NUMBER})


def times(column: np.ndarray) -> list[datetime]:
    """Parse the time stamps of a column.

    Raises:
        ValueError: A time stamp does not have the form 2012-10-02 09:00:00.
    """
    times = []
    for line, text in enumerate(column, start=2):
        try:
            times.append(csv_table.parse_time(str(text)))
        except ValueError as error:
            raise ValueError(
                f"Line {line}: column 'date_time' holds {str(text)!r}, not a time such as "
                "2012-10-02 09:00:00."
            ) from error
    return times


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
    hours = np.diff(np.array(times(stamps), "datetime64[h]")).astype(int)
    return {
        "rows": len(stamps),
        "rows of an hour that was there before": len(stamps) - len(set(stamps)),
        "gaps of more than an hour": int((hours > 1).sum()),
        "temperatures of 0 K": int((columns["temp"] < COLDEST).sum()),
        "rain beyond a metre": int((columns["rain_1h"] > WETTEST).sum()),
    }
