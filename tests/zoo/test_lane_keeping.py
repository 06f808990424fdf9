"""Lane keeping: the game is the stock one, records are reproducible, all runtimes drive alike."""

import joblib
import keras
import numpy as np
import pytest

pytest.importorskip("Box2D")

import export
import zoo
from export import Stepper
from export.runtimes.keras_step import KerasStep
from zoo.data import car_racing as data
from zoo.data import car_racing_env
from zoo.data.car_racing_env import HOLD, PIXELS, Lap, grey
from zoo.data.car_racing_expert import CALM, ROOM, ScriptedDriver, racing_line, speeds
from zoo.data.simulated import Recorded
from zoo.driving import dagger, evaluation_laps
from zoo.driving import lane_keeping as task
from zoo.driving.augmentation import PictureAugmentation
from zoo.driving.evaluation_laps import drive_all, drive_with_stepper, noisy


def small_model(cell="cfc"):
    return task.build(task.LaneKeepingConfig(cell=cell, units=6, filters=(3, 4), width=8))


def test_pictures_and_rewards_are_the_stock_ones(random):
    """Although only every fourth frame is drawn, and only its visible part."""
    from gymnasium.envs.box2d.car_racing import CarRacing

    stock, lap = CarRacing(), Lap(3)
    picture, _ = stock.reset(seed=3)
    total = 0.0
    for step in range(30):
        np.testing.assert_array_equal(lap.picture, grey(picture))
        steering, gas, brake = random.uniform(-0.4, 0.4), *((0.6, 0) if step < 20 else (0, 0.1))
        lap.act(np.array([steering, gas - brake]))
        for _ in range(HOLD):
            picture, reward, *_ = stock.step(np.array([steering, gas, brake]))
            total += reward
    assert lap.reward == pytest.approx(total) and lap.frames == 30 * HOLD


def test_grey_is_luminance():
    white, green = np.full((96, 96, 3), 255, "uint8"), np.zeros((96, 96, 3), "uint8")
    green[:3, :3, 1] = 200
    assert (grey(white) == 255).all()
    assert grey(green)[0] == round(0.587 * 200) and grey(green)[1:].max() == 0


def test_scripted_driver_stays_on_the_road():
    lap = Lap(5, sees=False)
    driver = ScriptedDriver(lap)
    while not lap.over:
        lap.act(driver())
    assert lap.reward > 900 and lap.off_track == 0 and lap.frames < car_racing_env.FRAMES


def test_racing_line_stays_within_its_bounds_and_slows_in_curves():
    track = Lap(5, sees=False).track
    line = racing_line(track)
    assert np.hypot(*(line - track[:, :2]).T).max() <= ROOM + 1e-9
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    for radius in (15.0, 30.0):
        circle = radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        np.testing.assert_allclose(speeds(circle, CALM) ** 2 / radius, CALM.sideways, rtol=0.01)


def test_record_is_determined_by_its_seed(monkeypatch):
    """The car is disturbed; the labels are the driver's actions."""
    monkeypatch.setattr(car_racing_env, "FRAMES", 300)
    (pictures, actions), (between, _) = data.record_lap(1000)
    monkeypatch.setattr(data, "TRACKS", {"train": range(1000, 1001)})
    monkeypatch.setattr(data, "RECORDED", ("train",))
    with joblib.parallel_config(backend="sequential"):
        again = data.record_laps()
    np.testing.assert_array_equal(again["train/pictures"][: len(pictures)], pictures)
    np.testing.assert_array_equal(again["train/actions"][: len(actions)], actions)
    # The second record of the lap is half a step later.
    assert (between[:70] != pictures[:70]).any(axis=1).all()
    assert pictures.shape == (len(actions), PIXELS) and pictures.dtype == np.uint8
    assert np.abs(actions).max() <= 1 and actions[:, 1].min() < 0 < actions[:, 1].max()
    windows, targets = data.windows([(pictures, actions)], 32)
    assert len(windows) == len(actions) // 32
    np.testing.assert_array_equal(windows[1, 3], pictures[35])
    np.testing.assert_array_equal(targets[1, 3], actions[35])


def test_no_track_is_shared_between_splits():
    tracks = [*data.TRACKS.values(), *dagger.ROUNDS]
    assert len(data.TRACKS["test"]) == 50
    assert len(set().union(*tracks)) == sum(map(len, tracks))


def test_recorded_once(tmp_path, monkeypatch):
    """Once per settings."""
    monkeypatch.setenv("LNN_HOME", str(tmp_path))
    monkeypatch.delenv("LNN_DATA_DIR", raising=False)
    calls = []

    def dataset(version):
        def record():
            calls.append(version)
            return {"x": np.full(3, version)}

        settings = {"version": version}
        return Recorded("game", "A game", "https://x", "MIT", record=record, settings=settings)

    for version in (1, 1, 2):
        (path,) = dataset(version).fetch().values()
        np.testing.assert_array_equal(np.load(path)["x"], np.full(3, version))
    assert calls == [1, 2] and dataset(1).digest != dataset(2).digest
    monkeypatch.setenv("LNN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LNN_HOME", str(tmp_path / "other"))
    dataset(2).fetch()
    assert calls == [1, 2]


def test_a_lost_student_is_rescued(monkeypatch):
    """The scripted driver returns the car to the road; the record has its actions."""
    monkeypatch.setattr(car_racing_env, "FRAMES", 500)
    pupil = dagger.Pupil(3, 0.0)
    rescued = []
    while not pupil.lap.over:
        pupil.act(np.array([0.6, 0.3]))
        rescued.append(pupil.rescued)
    assert not rescued[0] and any(rescued)
    # Control returns to the student once the car is on the road.
    assert np.diff(np.array(rescued, int)).min() == -1
    pictures, actions = pupil.recorded_lap
    assert len(pictures) == len(actions) == len(rescued)
    assert (actions[:, 0] < 0).any()


def test_noise_has_its_level_and_stays_within():
    greys = noisy(np.full((200, PIXELS), 128, "uint8"), 0.1, np.random.default_rng(0))
    assert greys.std() == pytest.approx(0.1, rel=0.01)
    bright = noisy(np.full((2, PIXELS), 255, "uint8"), 0.2, np.random.default_rng(0))
    assert bright.max() == 1 and bright.min() >= 0


def test_sight_is_disturbed_only_in_training():
    layer, pictures = PictureAugmentation(), np.full((8, 5, PIXELS), 128, "uint8")
    still = keras.ops.convert_to_numpy(layer(pictures))
    np.testing.assert_allclose(still, 128 / 255, rtol=1e-6)
    disturbed = keras.ops.convert_to_numpy(layer(pictures, training=True))
    # Noise level and brightness differ between sequences.
    assert np.ptp(disturbed.std(axis=(1, 2))) > 0.02 and np.ptp(disturbed.mean(axis=(1, 2))) > 0.02


# test_car_following.py drives with files of a stock cell.
@pytest.mark.parametrize("cell", ["cfc", pytest.param("gru", marks=pytest.mark.slow)])
def test_files_drive_as_keras_does(cell, monkeypatch, tmp_path):
    """All laps at once in Keras, one after the other, and each runtime of an exported file."""
    monkeypatch.setattr(car_racing_env, "FRAMES", 40)
    model = small_model(cell)
    inputs = {"track": np.array([3, 4, 4]), "noise": np.array([0.0, 0.0, 0.2])}
    expected = drive_all(model, inputs)
    assert np.isfinite(expected).all() and np.ptp(expected[:, 0]) > 0
    # Files drive only the laps without noise.
    expected[2] = np.nan
    step = export.to_step(model)
    export.to_tflite(model, tmp_path / "out", recipe="float32", steps=20)
    content = (tmp_path / "out/model.tflite").read_bytes()
    for driver in [Stepper(KerasStep(step), step), *export.steppers(content, model)]:
        np.testing.assert_allclose(drive_with_stepper(driver, inputs), expected, atol=1e-3)


def test_noise_is_determined_by_track_and_level(monkeypatch):
    first, second = evaluation_laps.NoisyLap(3, 0.1), evaluation_laps.NoisyLap(3, 0.1)
    np.testing.assert_array_equal(first.see(), second.see())
    assert np.abs(first.see() - evaluation_laps.NoisyLap(3, 0.2).see()).max() > 0.1


def test_only_tracks_are_driven():
    with pytest.raises(ValueError, match="tracks of the test split"):
        drive_all(small_model(), np.zeros((1, 5, PIXELS)))


def test_metrics_select_laps_by_their_noise():
    noises = np.array([0.0, 0.0, 0.1, 0.2])
    driven = np.array([[900, 0.0], [800, 0.1], [700, 0.2], [600, 0.3]])
    values = {metric.name: metric(noises, driven) for metric in task.PRESETS[0].metrics}
    assert values["return"] == 850 and values["return, noise 0.2"] == 600
    assert values["off track"] == pytest.approx(0.05)


def test_steering_weighs_most():
    targets = np.zeros((2, 5, 2), "float32")
    for action, weight in enumerate(task.WEIGHTS):
        predictions = targets.copy()
        predictions[..., action] = 0.5
        assert task.action_error(targets, predictions) == pytest.approx(weight * 0.25 / 2)
        loss = keras.ops.convert_to_numpy(task.action_loss(targets, predictions))
        assert loss.shape == (2, 5) and loss.mean() == pytest.approx(weight * 0.25 / 2)


def test_bundled_model_drives(monkeypatch):
    """The first ten seconds of two test tracks."""
    if not task.PRESETS[0].metadata_sha256:
        pytest.skip("not released")
    monkeypatch.setattr(car_racing_env, "FRAMES", 500)
    inputs = {"track": np.array([0, 1]), "noise": np.array([0.0, 0.2])}
    driven = drive_all(zoo.load("lane-keeping"), inputs)
    assert driven[:, 0].min() > 300 and driven[:, 1].max() < 0.1


def test_a_student_learns_and_drives_in_turn(monkeypatch):
    """Each round trains on all earlier ones; its last laps are kept for validation."""
    monkeypatch.setattr(car_racing_env, "FRAMES", 20)
    monkeypatch.setattr(dagger, "ROUNDS", (range(3, 5), range(7, 9)))
    monkeypatch.setattr(dagger, "VALIDATION_LAPS", 1)
    scripted = [(np.zeros((4, PIXELS), "uint8"), np.zeros((4, 2), "float32"))]
    monkeypatch.setattr(data, "laps", lambda split: scripted)
    learned = []

    def learn(model, training, validation, number):
        learned.append((number, len(training), len(validation)))

    record = dagger.record_rounds(small_model, learn, (0.0, 0.2))
    assert learned == [(0, 1, 1), (1, 2, 2)]
    for split in data.RECORDED:
        np.testing.assert_array_equal(record[f"{split}/lengths"], [5, 5])
        assert record[f"{split}/pictures"].shape == (10, PIXELS)
        assert record[f"{split}/actions"].shape == (10, 2)
