"""The playground: pages in a headless browser against Keras on the same changed signals."""

import dataclasses
import json
import re

import keras
import numpy as np
import pytest
from browser import console, open_browser, set_width, wait_until

import zoo
from export import to_step
from lnn_keras import LEFCell, LiquidRNN
from zoo.explain.playground import section
from zoo.explain.playground.changes import Changes, Feature, changed_inputs, positions
from zoo.explain.playground.embedding import packed_float32, script_json
from zoo.explain.playground.page_data import elapsed_column, features_of, predictions, rows_of
from zoo.explain.playground.random_numbers import normal, uniform
from zoo.explain.playground.section import SCRIPTS, page_file
from zoo.explain.playground.sliders import sliders
from zoo.explain.playground.window import window_around
from zoo.explain.subject import Answer, Subject
from zoo.labels import NUMBERS, Labels
from zoo.registry import PRESETS

PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><body>{}</body></html>'
)
FEATURES = [Feature("x", 0, "a", 2.0), Feature("x", 1, "b", 1.0)]
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


def test_all_sliders_start_where_nothing_changes():
    for slider in (*sliders(sampling="skips"), *sliders(coarse=True)):
        assert slider.values[slider.start] == getattr(Changes(), slider.name)


# Pages in a browser


@pytest.fixture(scope="module")
def browser():
    opened = open_browser()
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def half_cheetah():
    """The preset half-cheetah-micro on its sample, and the playground on it."""
    subject = preset_subject("half-cheetah-micro", zoo.samples("half-cheetah-micro")["inputs"])
    return subject, section(subject)


@pytest.fixture
def open_page(browser, tmp_path):
    """Function that opens a playground and waits until it has started or failed."""

    def open_it(html, width=1280):
        page = tmp_path / "page.html"
        page.write_text(PAGE.format(html), "utf-8")
        set_width(browser, width)
        console(browser)
        browser.get(page.as_uri())
        wait_until(browser, "['ready', 'failed'].includes(playground.dataset.state)")
        return browser

    return open_it


def preset_subject(name, samples):
    """The last step of the first sequence of a preset's samples."""
    model = zoo.load(name)
    step = to_step(model)
    samples = samples if isinstance(samples, dict) else {step.inputs[0]: samples}
    inputs = {}
    for key in step.inputs:
        values = np.asarray(samples[key], "float32")
        batched = values.ndim == len(step.graph.inputs[key].shape)
        inputs[key] = values[:1] if batched else values[None]
    return subject_of(model, step, inputs, "elapsed" if "elapsed" in inputs else None)


def subject_of(model, step, inputs, elapsed=None, names=str):
    columns = {key: int(np.prod(values.shape[2:])) for key, values in inputs.items()}
    outputs = model.output_shape[-1]
    answer = Answer(
        kind=NUMBERS,
        names=tuple(map(names, range(outputs))),
        units=("m",) * outputs,
        scale=np.ones(1),
        offset=np.zeros(1),
        explained=0,
    )
    return Subject(
        name=model.name,
        model=model,
        step=step,
        inputs=inputs,
        feature_names={key: tuple(map(names, range(n))) for key, n in columns.items()},
        units={key: ("V",) * n for key, n in columns.items()},
        elapsed=elapsed,
        answer=answer,
        labels=Labels(),
        outputs=np.zeros((next(iter(inputs.values())).shape[1], outputs)),
        targets=None,
        step_index=next(iter(inputs.values())).shape[1] - 1,
        origin="a test",
    )


def expected_answers(subject, changes):
    """The answers of Keras to the changed signal, and the range of those to the original one."""
    rows = rows_of(subject)
    window = window_around(subject.step_index, rows, subject.step)
    cut = {name: values[window.start : window.stop] for name, values in rows.items()}
    changed = changed_inputs(cut, features_of(subject, cut), elapsed_column(subject), changes)
    whole = {
        name: np.concatenate([values[: window.start], changed[name]])
        for name, values in rows.items()
    }
    answers = predictions(subject, whole)
    original = predictions(subject, rows)
    return answers[window.start :] if len(answers) > 1 else answers, np.ptp(original)


def move(browser, changes):
    """Move the sliders to changes, and return the answers."""
    browser.execute_script("playground.dataset.updates = 0")
    feature = 0 if changes.feature is None else changes.feature + 1
    browser.execute_script(
        "const list = playground.querySelector('[data-part=feature]');"
        "list.value = arguments[0]; list.dispatchEvent(new Event('input', {bubbles: true}));",
        str(feature),
    )
    for slider in sliders(sampling="skips"):
        browser.execute_script(
            "const slider = document.getElementById('playground-' + arguments[0]);"
            "slider.value = arguments[1];"
            "slider.dispatchEvent(new Event('input', {bubbles: true}));",
            slider.name,
            slider.values.index(getattr(changes, slider.name)),
        )
    # Events before the last frame count as one or several updates; the last one has them all.
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    wait_until(browser, "Number(playground.dataset.updates)")
    return np.array(browser.execute_script("return Array.from(playground.answers)"))


CHANGES = [
    Changes(gain=0.5, offset=-1.0, noise=0.25, dropped=0.3),
    Changes(feature=0, gain=-1.0, offset=2.0),
    Changes(rate=0.5, noise=0.1),
    Changes(rate=1.5, dropped=0.5),
    Changes(),
]


def assert_equal_to_keras(browser, subject, changes):
    answers = move(browser, changes)
    expected, spread = expected_answers(subject, changes)
    received = answers.reshape(-1, expected.shape[-1])[-len(expected) :]
    # Rounding grows over hundreds of steps.
    np.testing.assert_allclose(received, expected, atol=1e-4 * (spread or 1), err_msg=str(changes))


def test_the_page_answers_changed_signals_as_keras(half_cheetah, open_page):
    subject, html = half_cheetah
    browser = open_page(html)
    assert float(wait_until(browser, "playground.dataset.difference")) < 1e-4
    for changes in CHANGES:
        assert_equal_to_keras(browser, subject, changes)
    assert not console(browser)


def test_the_keyboard_moves_sliders_and_reset_returns_them(half_cheetah, open_page):
    browser = open_page(half_cheetah[1])
    original = move(browser, Changes())
    gain = browser.find_element("id", "playground-gain")
    gain.send_keys("\ue014")  # the right arrow
    wait_until(browser, "document.getElementById('playground-gain').ariaValueText == '× 1.05'")
    wait_until(
        browser,
        "!playground.answers.every((x, i) => x === arguments[0][i])",
        original.tolist(),
    )
    browser.find_element("css selector", "button[type=reset]").click()
    wait_until(
        browser, "playground.answers.every((x, i) => x === arguments[0][i])", original.tolist()
    )


SLOW_MODEL = """
    await new Promise((resolve) => {
      const channel = new MessageChannel();
      channel.port1.onmessage = resolve;
      channel.port2.postMessage(0);
    });
"""
MOVE_FAST = """
    const slider = document.getElementById("playground-gain");
    const moveTo = (position) => {
      slider.value = position;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    };
    for (let position = 30; position <= 50; position++) setTimeout(moveTo, position, position);
"""


def test_the_last_position_counts_however_fast_a_slider_moves(half_cheetah, open_page):
    """Events come while the model runs, which lets the page react after each step here."""
    expected = move(open_page(half_cheetah[1]), Changes(gain=1.5)).tolist()
    html = half_cheetah[1].replace("CHUNK_MILLISECONDS = 25", "CHUNK_MILLISECONDS = -1")
    assert html != half_cheetah[1]
    browser = open_page(html.replace("await nextFrame();", SLOW_MODEL))
    browser.execute_script(MOVE_FAST)
    wait_until(browser, "playground.answers.every((x, i) => x === arguments[0][i])", expected)


def test_a_phone_shows_the_page_without_scrolling_sideways(half_cheetah, open_page):
    browser = open_page(half_cheetah[1], width=390)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


def test_a_browser_without_webassembly_gets_a_sentence(half_cheetah, open_page):
    html = "<script>delete window.WebAssembly</script>" + half_cheetah[1]
    browser = open_page(html)
    status = browser.execute_script("return playground.querySelector('.status').textContent")
    assert "This browser has no WebAssembly." in status


def test_a_file_that_the_interpreter_refuses_gets_a_sentence(half_cheetah, open_page):
    damaged = packed_float32(b"no model")
    html = re.sub(r'(data-part="file">)[^<]*', rf"\g<1>{damaged}", half_cheetah[1])
    browser = open_page(html)
    status = browser.execute_script("return playground.querySelector('.status').textContent")
    assert status.startswith("The playground cannot run here.")


def test_markup_in_names_is_text(small_model, open_page, random):
    inputs = {"x": random.normal(size=(1, 20, 3)).astype("float32")}
    step = to_step(small_model)
    inputs = {step.inputs[0]: inputs["x"]}
    names = "</script><b>{} & µ".format
    browser = open_page(section(subject_of(small_model, step, inputs, names=names)))
    options = browser.execute_script(
        "return Array.from(playground.querySelectorAll('[data-part=feature] option'), o => o.text)"
    )
    assert options == ["all features", *map(names, range(3))]
    assert not browser.find_elements("tag name", "b")


@pytest.mark.parametrize(("parameters", "name"), [("mean", "means"), ("natural", "natural")])
def test_distributions_are_shown_with_their_deviation(parameters, name, open_page, random):
    inputs = keras.Input((None, 3), name="x")
    cell = LEFCell(2, parameters=parameters)
    model = keras.Model(inputs, LiquidRNN(cell, return_sequences=True)(inputs))
    rows = {"x": random.normal(size=(1, 20, 3)).astype("float32")}
    subject = subject_of(model, to_step(model), rows)
    answer = dataclasses.replace(subject.answer, names=("a", "b"), units=("m", "m"), gaussian=name)
    subject = dataclasses.replace(subject, answer=answer)
    browser = open_page(section(subject))
    outputs = predictions(subject, rows_of(subject))
    mean, deviation = (function(outputs)[-1, 0] for function in (answer.to_real, answer.deviations))
    text = browser.execute_script("return playground.querySelector('.answer').textContent")
    shown = [float(x) for x in re.findall(r"-?\d+\.\d+", text.replace("\u2212", "-"))]
    assert text.startswith("a: ") and "±" in text
    # The page rounds to one digit or more.
    np.testing.assert_allclose(shown[:2], [mean, deviation], atol=0.051)


def test_models_without_a_step_form_have_precomputed_answers(open_page, random):
    inputs = keras.Input((None, 3), name="x")
    both = keras.layers.Bidirectional(keras.layers.GRU(4, return_sequences=True))(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(both))
    rows = {"x": random.normal(size=(1, 20, 3)).astype("float32")}
    subject = subject_of(model, None, rows)
    browser = open_page(section(subject))
    changes = Changes(offset=-1.5)
    index = sliders(coarse=True)[1].values.index(changes.offset)
    browser.execute_script(
        "const slider = document.getElementById('playground-offset');"
        "slider.value = arguments[0]; slider.dispatchEvent(new Event('input', {bubbles: true}));",
        index,
    )
    wait_until(browser, "Number(playground.dataset.updates)")
    answers = np.array(browser.execute_script("return Array.from(playground.answers)"))
    expected, _ = expected_answers(subject, changes)
    np.testing.assert_allclose(answers.reshape(-1, 2), expected, atol=1e-6)
    proof = browser.execute_script("return playground.querySelector('.proof').textContent")
    assert "computed by Keras beforehand" in proof


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_answers_as_keras(name, open_page, real_data):
    subject = preset_subject(name, PRESETS[name].load_samples()["inputs"])
    html = section(subject)
    assert len(html) < 2_500_000
    browser = open_page(html)
    assert float(wait_until(browser, "playground.dataset.difference")) < 1e-4
    for changes in CHANGES:
        assert_equal_to_keras(browser, subject, changes)
    assert not console(browser)
