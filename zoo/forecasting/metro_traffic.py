"""Metro traffic: the hourly traffic volume of a highway from calendar and weather."""

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.data import metro_traffic as data
from zoo.labels import Labels
from zoo.preset import Bar, Preset, Samples
from zoo.recurrent_layer import recurrent, require_cell
from zoo.training.arrays import NamedInputs, Tensor
from zoo.training.metrics import MAE, MSE
from zoo.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    import keras

WINDOW, STRIDE = 168, 12
SAMPLE_STEPS = 500
HOLIDAYS = (
    "Christmas Day",
    "Columbus Day",
    "Independence Day",
    "Labor Day",
    "Martin Luther King Jr Day",
    "Memorial Day",
    "New Years Day",
    "State Fair",
    "Thanksgiving Day",
    "Veterans Day",
    "Washingtons Birthday",
)
# (month, day) of days with less traffic that are no recorded holidays.
BETWEEN_HOLIDAYS = ((7, 3), (12, 23), (12, 24), *((12, day) for day in range(26, 32)))
WEATHER = (
    "Clear",
    "Clouds",
    "Drizzle",
    "Fog",
    "Haze",
    "Mist",
    "Rain",
    "Smoke",
    "Snow",
    "Squall",
    "Thunderstorm",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FEATURE_NAMES = (
    *(f"{day} {hour}:00" for day in _DAYS for hour in range(24)),
    *HOLIDAYS,
    *(f"day after {name}" for name in HOLIDAYS),
    *(f"month {month}, day {day}" for month, day in BETWEEN_HOLIDAYS),
    *WEATHER,
    *("temperature", "rain", "snow", "cloud cover"),
    *(f"{hour}:00 of any day" for hour in range(24)),
    *_DAYS,
)
FEATURES = len(FEATURE_NAMES)
# Mean and standard deviation of the whole series, as the protocol defines.
MEAN_VOLUME, VOLUME_DEVIATION = 3259.8184, 1986.8400

DESCRIPTION = """
**Input and output.** Inputs: 245 features of each recorded hour and the hours since the previous
row. The features encode the calendar (hour of the week, holiday, holiday on the previous day, days
between holidays) and the weather (temperature, rain, snow, clouds and category). Output: the
z-scored traffic volume of that hour, (volume - 3260) / 1987.
`lnn predict metro-traffic --input FILE.csv` takes the columns of the public file and computes the
features.

**Data and protocol.** Interstate 94 at Minneapolis, 2012 to 2018, 48,204 rows: the first 75 % for
training, the next 10 % for validation, the last 15 % for testing. 7,629 rows repeat an hour with
another weather category, and 2,588 gaps are longer than an hour. Time is therefore irregular, and
elapsed times of 0 occur. All test hours are evaluated in one pass, starting from a state of zeros.
The model is causal, and the volume is never an input. Temperatures of 0 K are replaced by the
previous value, and rain is clipped at 60 mm.

**Intended use.** Expected traffic for a planned hour; a reference for irregular hourly series.

**Limits.** The data come from one road. The model does not know incidents, closed lanes or trends
over the years.
"""


@dataclass(frozen=True)
class MetroTrafficConfig:
    """Hyperparameters of a metro-traffic model.

    Attributes:
        cell: "liquid", "cfc", "lstm" or "gru".
        units: Number of neurons of the recurrent layer.
        width: Units of the dense layers before and after the recurrent layer.
        dropout: Dropout rate of their outputs.
    """

    cell: str = "liquid"
    units: int = 32
    width: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        require_cell(self.cell)


def build(config: MetroTrafficConfig) -> "keras.Model":
    """Return an untrained model with the inputs "hour" (batch, time, 245), "elapsed" (batch, time).

    Its output is the z-scored volume of each hour, (batch, time, 1).
    """
    import keras

    hour: Tensor = keras.Input((None, FEATURES), name="hour")
    elapsed: Tensor = keras.Input((None,), name="elapsed")
    x = _dense(hour, config, "see")
    state = recurrent(x, config.cell, config.units, elapsed)
    x = _dense(keras.layers.Concatenate()([x, state]), config, "decide")
    volume = keras.layers.Dense(1, name="volume")(x)
    return keras.Model([hour, elapsed], volume, name="metro_traffic")


def _dense(x: Tensor, config: MetroTrafficConfig, name: str) -> Tensor:
    import keras

    x = keras.layers.Dense(config.width, activation="silu", name=name)(x)
    return keras.layers.Dropout(config.dropout)(x)


def prepare(model: "keras.Model", inputs: NamedInputs) -> None:
    """Do nothing: the features are of order 1 already."""


def inputs_of(table: dict[str, np.ndarray]) -> NamedInputs:
    """The inputs for one sequence from the columns of the public file.

    Raises:
        ValueError: A time is earlier than the one before; a holiday or a weather category is
            unknown.
    """
    elapsed = _elapsed(table["date_time"])
    times = table["date_time"].tolist()
    hours = np.array([time.hour for time in times])
    weekdays = np.array([time.weekday() for time in times])
    features = [
        _one_hot(24 * weekdays + hours, 168),
        _holidays(times, table["holiday"]),
        _between_holidays(times),
        _weather(table["weather_main"]),
        ((_temperature(table["temp"]) - 281) / 13)[:, None],
        np.log1p(np.minimum(table["rain_1h"], 60))[:, None],
        table["snow_1h"][:, None] * 5,
        table["clouds_all"][:, None] / 100,
        _one_hot(hours, 24),
        _one_hot(weekdays, 7),
    ]
    return {
        "hour": np.concatenate(features, axis=1).astype("float32")[np.newaxis],
        "elapsed": elapsed[np.newaxis],
    }


def volumes_of(predictions: np.ndarray) -> dict[str, np.ndarray]:
    """The traffic volumes per hour of predictions (1, hours, 1)."""
    return {data.TARGET: predictions[0, :, 0] * VOLUME_DEVIATION + MEAN_VOLUME}


def _elapsed(times: np.ndarray) -> np.ndarray:
    """The hours between each time and the one before it."""
    elapsed = np.diff(times, prepend=times[:1]) / np.timedelta64(1, "h")
    falls = np.flatnonzero(elapsed < 0)
    if len(falls):
        before, after = (str(times[i].item()) for i in (falls[0] - 1, falls[0]))
        raise ValueError(f"Column 'date_time' must not decrease; {before} is followed by {after}.")
    return elapsed.astype("float32")


def _one_hot(indices: np.ndarray | list[int], count: int) -> np.ndarray:
    return np.eye(count)[indices]


def _temperature(kelvin: np.ndarray) -> np.ndarray:
    """Temperatures, with impossible values replaced by the previous value."""
    known = np.where(kelvin < data.COLDEST, 0, np.arange(len(kelvin)))
    return kelvin[np.maximum.accumulate(known)]


def _weather(kinds: np.ndarray) -> np.ndarray:
    unknown = sorted(set(kinds) - set(WEATHER))
    if unknown:
        raise ValueError(
            f"Column 'weather_main' holds {str(unknown[0])!r}; allowed: {', '.join(WEATHER)}."
        )
    return _one_hot([WEATHER.index(kind) for kind in kinds], len(WEATHER))


def _holidays(times: list[datetime.datetime], column: np.ndarray) -> np.ndarray:
    """The holiday of the day of each row and of the previous day; the file has it at midnight."""
    # pandas reads "None" as a missing cell, and writes it as a blank one.
    column = np.where(column == "", data.NO_HOLIDAY, column)
    unknown = sorted(set(column) - {*HOLIDAYS, data.NO_HOLIDAY})
    if unknown:
        raise ValueError(
            f"Column 'holiday' holds {str(unknown[0])!r}; allowed: {data.NO_HOLIDAY}, "
            f"{', '.join(HOLIDAYS)}."
        )
    named = {
        time.date(): HOLIDAYS.index(name)
        for time, name in zip(times, column, strict=True)
        if name != data.NO_HOLIDAY
    }
    features = np.zeros((len(times), 2, len(HOLIDAYS)))
    for row, time in enumerate(times):
        for days_ago in (0, 1):
            index = named.get(time.date() - datetime.timedelta(days=days_ago))
            if index is not None:
                features[row, days_ago, index] = 1
    return features.reshape(len(times), -1)


def _between_holidays(times: list[datetime.datetime]) -> np.ndarray:
    days = [(time.month, time.day) for time in times]
    return np.array([[day == between for between in BETWEEN_HOLIDAYS] for day in days], float)


def load_splits(seed: int) -> dict[str, tuple[NamedInputs, np.ndarray]]:
    """Training windows of a week; validation and test are one sequence each."""
    table = data.table()
    inputs = inputs_of(table)
    volume = ((table[data.TARGET] - MEAN_VOLUME) / VOLUME_DEVIATION).astype("float32")[:, None]
    bounds = data.bounds(len(volume))
    starts = np.arange(0, bounds["train"].stop - WINDOW + 1, STRIDE)
    rows = {
        "train": starts[:, None] + np.arange(WINDOW),
        **{name: np.arange(len(volume))[None, bounds[name]] for name in ("validation", "test")},
    }
    return {
        name: ({key: array[0, chosen] for key, array in inputs.items()}, volume[chosen])
        for name, chosen in rows.items()
    }


def load_samples() -> Samples:
    """Parts of the series: calibration data from the training split, inputs from the test split."""
    splits = load_splits(0)
    (typical, _), (inputs, targets) = splits["train"], splits["test"]
    spread = np.linspace(0, len(typical["hour"]) - 1, 24).astype(int)
    return {
        "calibration": {name: array[spread] for name, array in typical.items()},
        "inputs": {name: array[:, :SAMPLE_STEPS] for name, array in inputs.items()},
        "targets": targets[:, :SAMPLE_STEPS],
    }


PRESETS = (
    Preset(
        name="metro-traffic",
        domain="forecasting",
        task="predict the traffic volume of an hour from calendar and weather",
        description=DESCRIPTION,
        build=build,
        config=MetroTrafficConfig(),
        baselines={
            "lstm": MetroTrafficConfig(cell="lstm", units=14),
            "gru": MetroTrafficConfig(cell="gru", units=17),
        },
        dataset=data.DATASET,
        load_splits=load_splits,
        load_samples=load_samples,
        prepare=prepare,
        recipe=TrainingRecipe(
            epochs=20,
            batch_size=8,
            learning_rate=0.003,
            weight_decay=0.1,
            average=0.5,
            checkpoint_every=1,
        ),
        metrics=(MSE, MAE),
        bars=(
            Bar(
                0.099,
                "LTC, on a shuffled split that leaks: Hasani et al., Liquid Time-constant "
                "Networks, 2021",
            ),
            Bar(0.044, "gradient boosting, measured on this split"),
        ),
        license="Apache-2.0",
        metadata_sha256="a20deda2b9dcf8e5f2144695dbf9cf5bd6050271f2ba041c36ef9b6ffbb02859",
        target="phone",
        export_recipes=("float32", "dynamic"),
        columns=data.INPUTS,
        from_table=inputs_of,
        to_table=volumes_of,
        target_columns=(data.TARGET,),
        labels=Labels(
            features=FEATURE_NAMES,
            outputs=(data.TARGET,),
            units={
                data.TARGET: "vehicles/h",
                "temperature": "°C",
                "rain": "mm",
                "snow": "mm",
                "cloud cover": "%",
            },
            measured={
                "temperature": lambda values: values * 13 + 281 - 273.15,
                "rain": np.expm1,
                "snow": lambda values: values / 5,
                "cloud cover": lambda values: values * 100,
            },
            scale=(VOLUME_DEVIATION,),
            offset=(MEAN_VOLUME,),
            interval=1.0,
            time_unit="h",
            step="hour",
            sentence="the traffic of this hour is {value}",
        ),
        stream_targets=lambda table: (table[data.TARGET][:, None] - MEAN_VOLUME) / VOLUME_DEVIATION,
    ),
)
