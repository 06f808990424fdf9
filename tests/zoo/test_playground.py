"""The playground: pages in a headless browser against Keras on the same changed signals."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from browser import console, open_browser, set_width, wait_until

from lnn_keras import LiquidCell, LiquidRNN
from zoo.explain.playground import section
from zoo.explain.playground.changes import Changes, Feature, changed_inputs, positions
from zoo.explain.playground.embedding import script_json
from zoo.explain.playground.linear_answers import as_matrix
from zoo.explain.playground.page_data import elapsed_column, features_of, predictions, rows_of
from zoo.explain.playground.random_numbers import normal, uniform
from zoo.explain.playground.section import SCRIPTS, page_file
from zoo.explain.playground.sliders import sliders

PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><body>{}</body></html>'
FEATURES = [Feature("x", 0, "a", "", 2.0), Feature("x", 1, "b", "", 1.0)]
ROWS = {"x": np.array([[0, 5], [1, 6], [2, 7], [3, 8]], "float32")}


# Changes of the signal


def test_random_numbers_are_those_of_mulberry32():
    assert uniform(1, 2).tolist() == [0.6270739405881613, 0.002735721180215478]


def test_normal_numbers_have_mean_0_and_variance_1():
    numbers = normal(1, 100_000)
    # Four standard errors.
    assert abs(numbers.mean()) < 4 / np.sqrt(100_000)
    assert abs(numbers.var() - 1) < 4 * np.sqrt(2 / 100_000)


def test_gain_and_offset_change_the_chosen_feature_only():
    changed = changed_inputs(ROWS, FEATURES, None, Changes(feature=0, gain=2.0, offset=0.5))["x"]
    np.testing.assert_array_equal(changed, [[1, 5], [3, 6], [5, 7], [7, 8]])


def test_dropped_samples_hold_the_value_before():
    changed = changed_inputs(ROWS, FEATURES, None, Changes(dropped=1.0))["x"]
    np.testing.assert_array_equal(changed, np.tile(ROWS["x"][0], (4, 1)))


def test_another_sampling_rate_skips_or_repeats_samples():
    slow = changed_inputs(ROWS, FEATURES, None, Changes(rate=0.5))["x"]
    np.testing.assert_array_equal(slow, ROWS["x"][::2])
    fast = changed_inputs(ROWS, FEATURES, None, Changes(rate=2.0))["x"]
    np.testing.assert_array_equal(fast, np.repeat(ROWS["x"], 2, axis=0)[:-1])


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.8, 1.0, 1.5, 3.0])
def test_elapsed_times_add_up_to_the_time_of_the_last_sample(rate):
    elapsed = np.array([[0.5], [1], [4], [2], [8]], "float32")
    changed = changed_inputs({"t": elapsed}, [], ("t", 0), Changes(rate=rate))["t"]
    ends = np.interp(positions(5, rate), range(5), np.cumsum(elapsed))
    np.testing.assert_allclose(np.cumsum(changed), ends, rtol=1e-6)


# Data in the page


def test_no_text_ends_a_script_element():
    texts = {"name": "</script><b>&"}
    assert "<" not in script_json(texts)
    assert json.loads(script_json(texts)) == texts


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_do_not_end_their_element(script):
    assert "</script" not in page_file(f"{script}.js").lower()


def test_linear_functions_are_told_from_curves():
    matrix, offset = as_matrix(lambda x: x[..., :2] * [2.0, 3.0] + 1, 3)
    np.testing.assert_allclose(matrix, [[2, 0, 0], [0, 3, 0]])
    np.testing.assert_allclose(offset, [1, 1])
    assert as_matrix(np.exp, 3) is None


def test_all_sliders_start_where_nothing_changes():
    for slider in (*sliders(sampling="skips"), *sliders(coarse=True)):
        assert slider.values[slider.start] == getattr(Changes(), slider.name)
