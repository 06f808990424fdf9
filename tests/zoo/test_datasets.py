"""The public datasets: splits of the sizes that the protocols define."""

import numpy as np
import pytest

from zoo.data import etth1, metro_traffic, mitdb, ngsim, physionet2012, walker2d


def test_walker2d_follows_the_papers_loader(real_data):
    splits = walker2d.splits()
    sizes = {name: len(targets) for name, (_, targets) in splits.items()}
    assert sizes == {"train": 9684, "validation": 1272, "test": 1937}
    inputs, targets = splits["test"]
    # Where the next step was kept, its observation is this step's target.
    follows = inputs["elapsed"][:, 1:] == 1
    np.testing.assert_array_equal(inputs["observation"][:, 1:][follows], targets[:, :-1][follows])
    assert 0.87 < follows.mean() < 0.93


def test_etth1_windows_lie_in_their_rows(real_data):
    splits = etth1.splits(look_back=336, horizon=96)
    assert {name: len(targets) for name, (_, targets) in splits.items()} == {
        "train": 8640 - 336 - 96 + 1,
        "validation": 2880 - 96 + 1,
        "test": 2880 - 96 + 1,
    }
    mean, deviation = etth1.scaling()
    scaled = (etth1.series() - mean) / deviation
    inputs, targets = splits["test"]
    np.testing.assert_allclose(inputs[0], scaled[11520 - 336 : 11520], atol=1e-5)
    np.testing.assert_allclose(targets[-1], scaled[14400 - 96 : 14400], atol=1e-5)


def test_metro_traffic_counts(real_data):
    assert metro_traffic.summary() == {
        "rows": 48204,
        "rows of an hour that was there before": 7629,
        "gaps of more than an hour": 2588,
        "temperatures of 0 K": 10,
        "rain beyond a metre": 1,
    }
    bounds = metro_traffic.bounds(48204)
    assert bounds["train"].stop == 36153 and bounds["test"].start == 40973


def test_ngsim_events(real_data):
    splits = ngsim.splits()
    assert {name: len(events) for name, events in splits.items()} == {
        "train": 283,
        "validation": 60,
        "test": 60,
    }
    event = splits["test"][0]
    np.testing.assert_allclose(event[:, 2], event[:, 3] - event[:, 1], atol=1e-5)


def test_physionet_stays(first_stays):
    stays, static, deaths = physionet2012.stays()
    assert len(stays) == len(static) == len(deaths) == 40
    # Of 132539: a heart rate of 73 seven minutes after admission; 54 years; height unknown.
    assert stays[0][0, 0] == pytest.approx(7 / 60)
    assert stays[0][0, 1 + physionet2012.VITALS.index("HR")] == 73
    assert static[0, 0] == 54 and np.isnan(static[0, 2])
    assert all((np.diff(stay[:, 0]) > 0).all() for stay in stays)
    stayed, survived = physionet2012.afterwards()
    # 132539 left after 5 days and is not known to have died; 132543 died 575 days after admission.
    assert stayed[0] == 5 and np.isnan(survived[0]) and survived[3] == 575
    assert len(survived) == 4000 and np.isfinite(survived[:40][deaths == 1]).all()
    splits = physionet2012.split_stays(3)
    assert {name: len(part) for name, part in splits.items()} == {
        "train": 2880,
        "validation": 320,
        "test": 800,
    }
    np.testing.assert_array_equal(splits["test"], np.random.RandomState(3).permutation(4000)[:800])


@pytest.mark.slow
def test_all_physionet_stays(real_data):
    stays, static, deaths = physionet2012.stays()
    assert len(stays) == len(static) == len(deaths) == 4000 and deaths.sum() == 554
    assert all((np.diff(stay[:, 0]) > 0).all() for stay in stays)
    _, survived = physionet2012.afterwards()
    assert np.isfinite(survived[deaths == 1]).all()


def test_mitdb_beats(real_data):
    assert not set(mitdb.DS1) & set(mitdb.DS2) and len(mitdb.DS1) == len(mitdb.DS2) == 22
    (record,) = mitdb.records(("114",))
    assert record.signal.shape == (650000, 2)
    assert record.peaks.shape == record.classes.shape
    # Counts of PhysioNet's own table for record 114: 1820 N, 10 A, 2 J, 43 V, 4 F.
    counts = np.bincount(record.classes + 1, minlength=4)
    np.testing.assert_array_equal(counts, [4, 1820, 12, 43])
