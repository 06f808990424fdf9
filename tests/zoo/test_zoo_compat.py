"""Private parts of Keras, KerasTuner and gymnasium: each test names the consequence of a change."""

import keras
import numpy as np
import pytest

from zoo import compat


def test_keras_names_the_state_of_seed_generators():
    layer = keras.layers.Dropout(0.5)
    states = [variable for variable in layer.variables if compat.is_seed_state(variable)]
    assert len(states) == 1, (
        "Keras renamed the variable of SeedGenerator: training does not reseed dropout, so an "
        "interrupted run differs from an uninterrupted one"
    )


def test_keras_shares_objects_of_a_config():
    shared = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}}
    config = [{**shared, "registered_name": None, "shared_object_id": 7}] * 2
    with compat.object_sharing():
        first, second = keras.saving.deserialize_keras_object(config)
    assert first is second, (
        "Keras renamed ObjectSharingScope: models load with copies of layers that they share"
    )


def test_keras_makes_variables_without_values():
    def build(units):
        return keras.Sequential([keras.Input((units,)), keras.layers.Dense(units)])

    with compat.without_values():
        # 4 TB, if Keras made its values.
        model = build(1_000_000)
    assert model.count_params() == 10**12 + 10**6
    with keras.StatelessScope():
        small = build(2)
    assert np.all(np.isfinite(small.get_weights()[0])), (
        "Keras changed its list of variables without values: a check of sizes leaves some on it"
    )


def test_keras_tuner_has_a_retry_queue(tmp_path):
    keras_tuner = pytest.importorskip("keras_tuner")
    tuner = keras_tuner.RandomSearch(
        lambda hp: hp.Int("units", 1, 9),
        objective=keras_tuner.Objective("loss", "min"),
        max_trials=3,
        directory=tmp_path,
    )
    lost = tuner.oracle.create_trial("lost")
    compat.retry_trial(tuner.oracle, "lost", lost.trial_id)
    retried = tuner.oracle.create_trial("other")
    assert retried.trial_id == lost.trial_id, (
        "KerasTuner changed its retry queue: the trial of a lost worker is not repeated, "
        "so a sweep never ends"
    )


def test_car_racing_renders_through_the_hooks():
    pytest.importorskip("Box2D")
    from gymnasium.envs.box2d.car_racing import CarRacing

    square = 1000 * np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    environment = compat.with_render_hooks(
        CarRacing, lambda environment, zoom: [(square, (10, 200, 30), False)]
    )()
    picture, _ = environment.reset(seed=0)
    difference = np.abs(picture.astype(int) - (10, 200, 30)).max(axis=-1)
    assert (difference < 9).mean() > 0.5, (
        "gymnasium does not draw the road with _render_road and _draw_colored_polygon: "
        "laps are drawn in full, which is several times as slow"
    )
    environment.draws = False
    picture, *_ = environment.step(np.zeros(3))
    assert picture is None, (
        "gymnasium does not draw with _render: frames that no model sees are drawn"
    )
