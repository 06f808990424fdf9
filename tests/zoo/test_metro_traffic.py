"""Metro traffic: from a table to the inputs of the model."""

import numpy as np
import pytest
from command_line import lnn

from zoo.data import metro_traffic as data
from zoo.forecasting import metro_traffic as task


def table(**changes):
    columns = {
        "holiday": ["None", "Labor Day", "None", "None"],
        "temp": [0.0, 290.0, 0.0, 300.0],
        "rain_1h": [0.0, 9831.3, 0.0, 0.0],
        "snow_1h": [0.0] * 4,
        "clouds_all": [40.0] * 4,
        "weather_main": ["Clear", "Rain", "Rain", "Clouds"],
        "weather_description": ["sky is clear"] * 4,
        "date_time": [
            "2015-09-06 23:00:00",
            "2015-09-07 00:00:00",
            "2015-09-07 00:00:00",
            "2015-09-08 03:00:00",
        ],
        **changes,
    }
    dtypes = {"date_time": "datetime64[us]"}
    return {name: np.array(column, dtypes.get(name)) for name, column in columns.items()}


def test_features_of_rows():
    inputs = task.inputs_of(table())
    hour, elapsed = inputs["hour"][0], inputs["elapsed"][0]
    assert hour.shape == (4, task.FEATURES) and np.isfinite(hour).all()
    np.testing.assert_array_equal(elapsed, [0, 1, 0, 27])
    # A Sunday at 23, a Monday at 0 twice, a Tuesday at 3.
    np.testing.assert_array_equal(hour[:, :168].argmax(axis=1), [6 * 24 + 23, 0, 0, 24 + 3])
    holidays = hour[:, 168 : 168 + 2 * len(task.HOLIDAYS)].reshape(4, 2, -1)
    labor = task.HOLIDAYS.index("Labor Day")
    # The first channel marks all hours of the holiday, the second those of the next day.
    np.testing.assert_array_equal(holidays[:, 0, labor], [0, 1, 1, 0])
    np.testing.assert_array_equal(holidays[:, 1, labor], [0, 0, 0, 1])
    assert hour.max() < np.log(62)


def test_features_are_causal():
    rows = table()
    first = {name: column[:2] for name, column in rows.items()}
    for name, array in task.inputs_of(first).items():
        np.testing.assert_array_equal(array, task.inputs_of(rows)[name][:, :2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"holiday": ["Yes"] * 4}, "'holiday' holds 'Yes'; allowed: None, Christmas Day"),
        ({"weather_main": ["Hail"] * 4}, "'weather_main' holds 'Hail'; allowed: Clear"),
        (
            {"date_time": ["2015-09-07 01:00:00", *["2015-09-07 00:00:00"] * 3]},
            "not decrease; 2015-09-07 01:",
        ),
    ],
)
def test_wrong_tables_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        task.inputs_of(table(**changes))


def test_scaling_is_that_of_the_whole_series(real_data):
    volume = data.table()[data.TARGET]
    assert volume.mean() == pytest.approx(task.MEAN_VOLUME)
    assert volume.std() == pytest.approx(task.VOLUME_DEVIATION)


def test_the_public_file_is_predicted_in_vehicles_and_scored(real_data, tmp_path):
    lines = data.DATASET.fetch()[data.FILE].read_text().splitlines()[:60]
    (tmp_path / "x.csv").write_text("\n".join(f"{line},{i}" for i, line in enumerate(lines)))
    arguments = ["--input", tmp_path / "x.csv", "--out", tmp_path / "y.csv"]
    result = lnn("predict", "metro-traffic", *arguments)
    assert result.returncode == 0 and "does not read these columns: 0" in result.stderr
    predicted = np.loadtxt(tmp_path / "y.csv", skiprows=1)
    volumes = np.array([float(line.split(",")[-1]) for line in lines[1:]])
    error = np.sqrt(np.mean((predicted - volumes) ** 2))
    assert f"traffic_volume RMSE {error:.5g}" in result.stdout
    assert error < 0.5 * volumes.std()
