"""Car-following: the simulation is physical, and each runtime drives in it alike."""

import keras
import numpy as np
import pytest

import export
from export import Stepper
from export.runtimes import KerasStep
from zoo.data import ngsim
from zoo.driving import car_following as task
from zoo.driving.closed_loop import (
    SECONDS,
    events_as_arrays,
    simulate_with_stepper,
    simulation,
)


@pytest.fixture
def events(random):
    """Two events of different length: spacing, speed, relative speed, the leader's speed."""
    events = []
    for length in (40, 25):
        lead = 10 + np.cumsum(random.standard_normal(length)) / 10
        events.append(np.stack([np.full(length, 15.0), np.full(length, 9.0), lead - 9, lead], -1))
    return events


def constant_driver(acceleration):
    model = task.build(task.CarFollowingConfig(units=4, width=4))
    readout = model.get_layer("acceleration")
    readout.kernel.assign(readout.kernel * 0)
    readout.bias.assign([acceleration])
    return model


def test_constant_acceleration_is_a_parabola(events):
    inputs, _ = events_as_arrays(events)
    inputs["lead_speed"][:] = 10
    spacing = simulation(constant_driver(0.5)).predict(inputs, verbose=0)
    time = SECONDS * np.arange(1, spacing.shape[1] + 1)
    np.testing.assert_allclose(spacing[0], 15 + time - 0.25 * time**2, rtol=1e-5)


def test_cars_do_not_drive_backwards(events):
    inputs, _ = events_as_arrays(events)
    spacing = simulation(constant_driver(-50.0)).predict(inputs, verbose=0)
    travelled = SECONDS / 2 * (inputs["lead_speed"][:, :-1] + inputs["lead_speed"][:, 1:])
    # From 9 m/s it stops within two steps.
    np.testing.assert_allclose(np.diff(spacing)[:, 1:], travelled[:, 2:], atol=1e-4)


@pytest.mark.parametrize("cell", ["liquid", "lstm"])
def test_step_by_step_equals_the_simulation(cell, events, tmp_path):
    """Keras on whole events, Keras step by step, and each runtime of an exported file."""
    model = task.build(task.CarFollowingConfig(cell=cell, units=6, width=4))
    inputs, _ = events_as_arrays(events)
    expected = simulation(model).predict(inputs, verbose=0)
    step = export.to_step(model)
    export.to_tflite(model, tmp_path / "out", recipe="float32", steps=20)
    content = (tmp_path / "out/model.tflite").read_bytes()
    drivers = [Stepper(KerasStep(step), step), *export.steppers(content, model)]
    assert len(drivers) > 1
    for driver in drivers:
        np.testing.assert_allclose(simulate_with_stepper(driver, inputs), expected, atol=1e-3)


def test_training_the_simulation_trains_the_driver(events):
    model = task.build(task.CarFollowingConfig(units=4, width=4))
    before = model.get_weights()
    trained = simulation(model)
    trained.compile("adam", task.spacing_loss, run_eagerly=True)
    trained.fit(*events_as_arrays(events), verbose=0)
    # Every weight is trained; the normalization has none.
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert all(changed)


def test_padding_is_ignored(events):
    _, targets = events_as_arrays(events)
    assert np.isnan(targets[1, 24:]).all() and np.isfinite(targets[1, :24]).all()
    predictions = np.nan_to_num(targets + 2.0)
    assert task.spacing_error(targets, predictions) == pytest.approx(4.0)
    loss = keras.ops.convert_to_numpy(task.spacing_loss(targets, predictions))
    np.testing.assert_allclose(loss, [39 * 4 / 200, 24 * 4 / 200], rtol=1e-5)
    predictions[1, 24:] = -1.0
    assert task.collisions(targets, predictions) == 0
    predictions[0, 3] = 0.0
    assert task.collisions(targets, predictions) == 1


def test_relative_speed_is_computed_from_a_table():
    table = {"spacing": [12.0, 13.0], "speed": [9.0, 9.5], "lead_speed": [10.0, 9.0]}
    inputs = task.inputs_of({name: np.array(column) for name, column in table.items()})
    np.testing.assert_allclose(inputs, [[[12, 9, 1], [13, 9.5, -0.5]]])


def test_only_training_starts_are_perturbed(real_data):
    splits, recorded = task.load_splits(0), ngsim.splits()
    for name in ("validation", "test"):
        start = splits[name][0]["start"]
        np.testing.assert_allclose(start, [event[0, :2] for event in recorded[name]], rtol=1e-6)
    start, count = splits["train"][0]["start"], len(recorded["train"])
    off = np.log(start[:count] / [event[0, :2] for event in recorded["train"]])
    assert 0.09 < off.std() < 0.11 and abs(off.mean()) < 0.01
    other = task.load_splits(1)["train"][0]["start"]
    assert len(start) == task.STARTS * count and not np.array_equal(start, other)
