"""The state of a LEFCell is a belief that follows a change point without a gradient."""

import keras
import numpy as np
import pytest

from benchmarks import belief, change_point

RATE, VARIANCE = 0.3, 1.2


@pytest.fixture(scope="module")
def jumps():
    return change_point.one_jump(6.0, 200, seed=0)


@pytest.fixture(scope="module")
def model():
    """A moving average, whose gate the distance from the running mean opens. Nothing is trained."""
    keras.utils.set_random_seed(0)
    model = belief.build()
    belief.start_as_average(model, RATE, VARIANCE)
    return model


def opened(model):
    """The same with a gate, and a precision of the evidence, that read the distance."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    cell = copy.get_layer("beliefs").cell
    cell.kernel.assign([[0.0], [2.5]])
    cell.bias.assign(cell.bias - 3.0)
    cell.evidence_kernel.assign([[belief.UNIT, 0.0], [0.0, -0.5]])
    return copy


def test_it_starts_as_an_exponential_moving_average(model, jumps):
    """The convex combination of natural parameters of equal precision is that of the means."""
    series, _ = jumps
    mean, variance = belief.belief(model, series)
    expected, _ = belief.average(series, RATE, 0.1)
    # The average starts at the first value, the cell at its prior.
    np.testing.assert_allclose(mean[:, 40:], expected[:, 40:], atol=0.02)
    np.testing.assert_allclose(variance[:, 40:], VARIANCE, rtol=0.01)


def test_mean_and_variance_follow_a_change(model, jumps):
    series, levels = jumps
    following = opened(model)
    weights = [weight.copy() for weight in following.get_weights()]
    names = list(change_point.SEEN)
    found = belief.belief(following, series)
    columns = dict(zip(names, change_point.by_values_seen(series, levels, found), strict=True))
    baseline = belief.average(series, RATE, 0.05)
    others = dict(zip(names, change_point.by_values_seen(series, levels, baseline), strict=True))
    coverage, error, deviation = (
        {name: column[place] for name, column in columns.items()} for place in range(3)
    )
    # Nobody can expect the first value. From the second one on, the interval covers the values.
    assert coverage["0"] < 0.1 and coverage["2"] > 0.85 and coverage["21-59"] > 0.85
    assert others["2"][0] < coverage["2"] - 0.3
    # The variance rises, and falls to its former value; the mean is nearer at once and later.
    assert deviation["1"] > 1.3 * deviation["before"] > 1.2 * deviation["21-59"]
    assert error["2"] < 0.5 * others["2"][1] and error["21-59"] < others["21-59"][1]
    for before, after in zip(weights, following.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_scores_of_the_known_change(jumps):
    """The observer who is told of the change covers 90 % and has the least loss."""
    series, levels = jumps
    told = change_point.known_change(series)
    columns = change_point.by_values_seen(series, levels, told)
    assert abs(columns[-1][0] - 0.9) < 0.01 and abs(columns[-2][0] - 0.9) < 0.01
    rates = belief.best_average(series)
    assert belief.score(series, told) < belief.score(series, belief.average(series, *rates))


def test_the_plot_has_the_same_bytes_at_each_run(jumps, tmp_path, monkeypatch):
    series, levels = (array[0] for array in jumps)
    row = tuple(array[0] for array in belief.average(series[None], 0.3, 0.1))
    contents = []
    for name in ("first.svg", "second.svg"):
        monkeypatch.setattr(change_point, "PICTURE", tmp_path / name)
        change_point.draw([("simulated", series, row, row, levels)])
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1] and b"<svg" in contents[0]
