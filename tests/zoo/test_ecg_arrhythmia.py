"""ECG arrhythmia: the features of a beat, the loss and the metrics."""

import keras
import numpy as np
import pytest

from zoo.biosignals import beats
from zoo.biosignals import ecg_arrhythmia as task
from zoo.data import mitdb

HERTZ = mitdb.HERTZ


def heart(intervals, wide=()):
    """A lead with a sharp peak per beat; those of the beats in `wide` are broad and inverted."""
    times = 1 + np.cumsum(intervals)
    clock = np.arange(int((times[-1] + 1) * HERTZ)) / HERTZ
    lead = np.zeros_like(clock)
    for i, time in enumerate(times):
        height, width = (-1.0, 0.05) if i in wide else (1.0, 0.015)
        lead += height * np.exp(-(((clock - time) / width) ** 2))
    return lead, np.round(times * HERTZ).astype(int)


def test_features_of_a_steady_heart_do_not_depend_on_rate_or_gain():
    slow, fast = (heart([interval] * 60) for interval in (1.0, 0.8))
    features = [
        beats.features(lead * gain, peaks) for (lead, peaks), gain in ((slow, 1), (fast, 3))
    ]
    assert features[0].shape == (60, beats.FEATURES) and np.isfinite(features).all()
    # The last columns describe the rhythm; its irregularity comes from rounding to samples.
    np.testing.assert_allclose(features[0][40:59, -13:], features[1][40:59, -13:], atol=0.02)
    np.testing.assert_allclose(features[0][40:59, :3], features[1][40:59, :3], atol=0.1)


def test_premature_and_broad_beats_stand_out():
    intervals = np.full(40, 0.8)
    intervals[30], intervals[31] = 0.5, 1.1
    features = beats.features(*heart(intervals, wide=(20,)))
    usual, broad, premature = features[10], features[20], features[30]
    correlation, before_over_usual = 5, -13
    assert usual[correlation] > 0.95 > 0.3 > broad[correlation]
    assert premature[before_over_usual] == pytest.approx(np.log(0.5 / 0.8), abs=0.03)
    assert abs(usual[before_over_usual]) < 0.02


def test_features_depend_on_nothing_after_the_next_beat():
    intervals = np.full(40, 0.8)
    lead, peaks = heart(intervals)
    changed = lead.copy()
    changed[peaks[21] + 200 :] *= -2
    both = [beats.features(signal, peaks)[:21] for signal in (lead, changed)]
    np.testing.assert_array_equal(*both)
    later = peaks.copy()
    later[22:] += 50
    np.testing.assert_array_equal(both[0], beats.features(lead, later)[:21])


def test_beats_without_a_class_are_ignored():
    targets = np.array([[0, 1, 2, -1]])
    predictions = np.eye(3, dtype="float32")[[[0, 1, 0, 2]]] * np.float32(0.9)
    assert task.macro_f1(targets, predictions) == pytest.approx(100 * (2 / 3 + 1 + 0) / 3)
    assert task.sensitivity("S")(targets, predictions) == 100
    assert task.sensitivity("V")(targets, predictions) == 0
    fainter = predictions * np.float32([[[1], [1], [1], [0.1]]])
    losses = [
        keras.ops.convert_to_numpy(task.weighted_cross_entropy(targets, other))
        for other in (predictions, fainter)
    ]
    np.testing.assert_allclose(*losses)


def test_a_lead_in_a_table():
    lead, peaks = heart([0.8] * 12)
    marked = np.zeros(len(lead))
    marked[peaks] = 1
    inputs = task.inputs_of({"mlii": lead, "peak": marked})
    np.testing.assert_array_equal(inputs[0], beats.features(lead, peaks))
    marked[5] = 2
    with pytest.raises(ValueError, match="Column 'peak' holds 2; allowed: 1"):
        task.inputs_of({"mlii": lead, "peak": marked})
    with pytest.raises(ValueError, match="marks 0 beats; at least 2"):
        task.inputs_of({"mlii": lead, "peak": np.zeros(len(lead))})


def test_no_patient_is_in_two_splits(monkeypatch):
    """With a short synthetic record in place of each patient's."""
    lead, peaks = heart([0.8] * 70)
    signal = np.stack([lead, lead], axis=-1).astype("float32")
    requested = []

    def records(names):
        requested.append(set(names))
        classes = np.zeros(len(peaks), int)
        return [mitdb.Record(name, signal, peaks, classes) for name in names]

    monkeypatch.setattr(mitdb, "records", records)
    splits = task.load_splits(1)
    training, validation, test = requested
    assert training | validation == set(mitdb.DS1) and test == set(mitdb.DS2)
    assert not training & validation and len(validation) == 6
    sizes = {name: len(targets) for name, (_, targets) in splits.items()}
    assert sizes == {"train": 16, "validation": 6, "test": 22}
