"""`lnn explain`: the numbers of the page against Keras, and the page in a browser."""

import re
from html.parser import HTMLParser

import keras
import numpy as np
import pytest
from browser import console, open_browser, set_width, wait_until
from command_line import lnn

import zoo
from lnn_keras import LiquidCell, LiquidRNN, inspect
from zoo.explain import words
from zoo.explain.page import findings, page
from zoo.explain.reading import subject_of
from zoo.explain.sequences import Sequences, bundled
from zoo.registry import PRESETS

PRESET = "half-cheetah-micro"
STEPS = 30
SECTIONS = [
    "The answers over time",
    "What mattered",
    "What would change the answer",
    "Try it: change the signal",
    "How fast it reacted",
    "How it is wired",
    "About this page",
]


class _Text(HTMLParser):
    """The visible text of a page, and that of its headings."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.headings, self._open = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag in {"style", "script", "svg", "h2"}:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data):
        if self._open == ["h2"]:
            self.headings.append(data)
        if not self._open:
            self.texts.append(data)


def text_of(html):
    return " ".join(" ".join(_Text(html).texts).split()).replace("\u00a0", " ")


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    """A step of a small liquid model on a walk of three features, with true values."""
    keras.utils.set_random_seed(0)
    layer = LiquidRNN(LiquidCell(4), return_sequences=True)
    model = keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(2)], name="small")
    path = tmp_path_factory.mktemp("explained") / "small.keras"
    model.save(path)
    walk = np.random.default_rng(0).normal(size=(1, STEPS, 3)).cumsum(axis=1).astype("float32")
    return subject_of(str(path), Sequences(walk, np.zeros((STEPS, 2)), "walk.npy"), step=20)


@pytest.fixture(scope="module")
def found(subject):
    return findings(subject, with_neurons=True)


@pytest.fixture(scope="module")
def small_page(subject, found):
    return page(subject, found, {"Model": "small"})


@pytest.fixture(scope="module")
def preset_page(tmp_path_factory):
    """The page that the command writes about a preset, and its messages."""
    out = tmp_path_factory.mktemp("page") / "a new" / "folder"
    result = lnn("explain", PRESET, "--out", out)
    assert result.returncode == 0, result.stderr
    return out / "index.html", result


def signal_of(subject):
    return subject.inputs[subject.main]


def answer_to(subject, signal):
    """The explained output for another signal, by Keras only."""
    return float(subject.model.predict(signal, verbose=0)[0, 19, 0])


# Numbers of the page against Keras


def test_the_answer_is_that_of_the_model(subject, small_page):
    said = subject.model.predict(signal_of(subject), verbose=0)[0, 19]
    np.testing.assert_allclose(subject.said, said, rtol=1e-5)
    text = text_of(small_page)
    assert f"At step 20 of 30, output 1 is {words.number(said[0])}." in text
    assert f"The true value is 0; the error is {words.number(abs(said[0]))}." in text


def test_contributions_add_up_to_the_difference_from_the_typical_signal(subject, found):
    signal = signal_of(subject)[:, :20]
    typical = np.broadcast_to(signal.mean(axis=1, keepdims=True), signal.shape)
    difference = answer_to(subject, signal) - answer_to(subject, typical)
    assert abs(difference) > 1e-3
    assert found.influence.values.sum() == pytest.approx(difference, rel=0.02)


def test_shares_are_those_of_all_features(found):
    by_feature = np.abs(found.influence.values).sum(axis=0)
    assert sum(found.influence.shares) == pytest.approx(1)
    assert found.influence.features == tuple(np.argsort(-by_feature))


def test_the_strongest_value_is_read_from_the_signal(subject, found, small_page):
    step, feature, value = found.influence.strongest(1)[0]
    assert abs(value) == np.abs(found.influence.values).max()
    reading = words.number(float(signal_of(subject)[0, step, feature]))
    assert f"feature {feature + 1} was {reading} at step {step + 1}" in text_of(small_page)


def changed_signals(signal):
    """Changes of the first 20 steps that have no random part."""
    deviation = signal.std(axis=1, keepdims=True)
    held = signal.copy()
    held[:, 17:] = signal[:, 16:17]
    first = signal.copy()
    first[..., 0] = signal[..., 0].mean()
    return {
        "all values 10 % larger": signal * 1.1,
        "all values 10 % smaller": signal * 0.9,
        "all values higher by half a deviation": signal + 0.5 * deviation,
        "the last 3 steps lost, the value before held": held,
        "feature 1 held at its mean": first,
    }


def test_effects_are_answers_of_the_model_to_changed_signals(subject, found):
    signal = signal_of(subject)[:, :20]
    effects = {effect.change: effect.difference for effect in found.effects}
    for change, changed in changed_signals(signal).items():
        expected = answer_to(subject, changed) - answer_to(subject, signal)
        assert effects[change] == pytest.approx(expected, rel=1e-3, abs=1e-6), change
    slower = subject.model.predict(signal[:, 1::2], verbose=0)[0, -1, 0]
    expected = slower - answer_to(subject, signal)
    assert effects["half as many steps (the model is not told)"] == pytest.approx(expected, 1e-3)


def test_effects_are_sorted(found, small_page):
    sizes = [abs(effect.difference) for effect in found.effects]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) > 6
    assert f"The largest effect of those tried: {found.effects[0].change}" in text_of(small_page)


def test_the_sentence_about_time_constants_is_the_record(subject, small_page):
    signal = signal_of(subject)[:, :20]
    recorded = inspect.record(subject.model, signal)
    (layer,) = recorded
    median = np.median(recorded[layer]["time_constant"][0], axis=-1)
    fastest, slowest = int(median.argmin()), int(median.argmax())
    text = text_of(small_page)
    assert f"the median neuron has {words.number(median[-1])} steps" in text
    assert f"fastest at step {fastest + 1} ({words.number(median[fastest])} steps)" in text
    assert f"slowest at step {slowest + 1} ({words.number(median[slowest])} steps)" in text


def test_the_answer_without_a_neuron_is_that_of_the_model(subject, found):
    strongest = found.neurons.strongest[0]
    layer = found.dynamics.layer
    signal = signal_of(subject)[:, :20]
    without = inspect.knock_out(subject.model, signal, layer=layer, neurons=[strongest.number])
    expected = float(without[0, 0, -1, 0]) - answer_to(subject, signal)
    assert strongest.effect == pytest.approx(expected, rel=1e-3)
    assert len(found.neurons.strongest) == found.neurons.count == 4


# The page


def test_the_command_says_the_first_sentences_of_the_page(preset_page):
    path, result = preset_page
    text = text_of(path.read_text("utf-8"))
    sentences = result.stdout.splitlines()[0].replace("\u00a0", " ")
    assert sentences in text and "The true value is" in sentences
    assert result.stdout.splitlines()[-1].startswith("written to ")


def test_the_page_has_all_sections_and_no_links_to_hosts(preset_page):
    html = preset_page[0].read_text("utf-8")
    assert [h for h in _Text(html).headings if h in SECTIONS] == SECTIONS
    for fetched in (r"<link\b", r"<img[^>]+src=[\"']?http", r"@import", r"<script[^>]+src="):
        assert not re.search(fetched, html), fetched


def test_the_page_names_model_file_and_command(preset_page):
    text = text_of(preset_page[0].read_text("utf-8"))
    assert f"lnn explain {PRESET} --out" in text
    assert f"the sample of {PRESET}, 500 steps" in text
    assert re.search(r"SHA-256 of the model [0-9a-f]{64}", text)


def test_a_preset_answers_in_real_units():
    subject = subject_of(PRESET, bundled(PRESET), step=100)
    given = bundled(PRESET).inputs[None, :100]
    raw = zoo.load(PRESET).predict(given, verbose=0)[0, -1]
    answer = subject.answer
    np.testing.assert_allclose(subject.said, answer.offset + answer.scale * raw, rtol=1e-4)
    assert answer.units[answer.explained] == "rad"


@pytest.fixture(scope="module")
def browser():
    opened = open_browser()
    yield opened
    opened.quit()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(browser, preset_page, width):
    set_width(browser, width)
    console(browser)
    browser.get(preset_page[0].as_uri())
    wait_until(browser, "['ready', 'failed'].includes(playground.dataset.state)")
    assert browser.execute_script("return playground.dataset.state") == "ready"
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    headings = browser.execute_script(
        "return [...document.querySelectorAll('h2')].map(e => e.checkVisibility() && e.textContent)"
    )
    assert [heading for heading in headings if heading in SECTIONS] == SECTIONS
    figures = browser.execute_script(
        "return [...document.querySelectorAll('figure[role=img]')]"
        ".map(e => e.getBoundingClientRect().height)"
    )
    assert len(figures) >= 3 and min(figures) > 100
    assert console(browser) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_explained(tmp_path, name):
    result = lnn("explain", name, "--neurons", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    html = (tmp_path / "index.html").read_text("utf-8")
    assert "Neurons" in _Text(html).headings
    text = text_of(html)
    assert not re.search(r"\b(nan|inf|None)\b", text), text
