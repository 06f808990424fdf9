"""`lnn explain` on inputs, models and names of strangers: a page, or one line that says why not."""

import os
import re
import sys
from html import unescape

import keras
import numpy as np
import pandas as pd
import pytest
from command_line import lnn

import zoo
from lnn_keras import LiquidCell, LiquidRNN
from zoo.explain import figures
from zoo.explain.influence import influence
from zoo.explain.page import findings, page
from zoo.explain.reading import subject_of
from zoo.explain.sequences import Sequences, rows_of_table
from zoo.explain.variations import Window
from zoo.explain.words import number
from zoo.readers.files import FileError
from zoo.tables import training
from zoo.tables.fitted import columns_of
from zoo.training.prediction import NotFiniteError

layers = keras.layers


def liquid(**options):
    return LiquidRNN(LiquidCell(4), name="liquid", **{"return_sequences": True, **options})


def save(path, read, shape=(None, 3)):
    """A `.keras` file of a model whose output is `read` of its input."""
    x = keras.Input(shape)
    keras.Model(x, read(x), name="strange").save(path)
    return str(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A liquid model of three features that answers at each step."""
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("strange") / "small.keras"
    return save(path, lambda x: layers.Dense(2)(liquid()(x)))


@pytest.fixture
def without_figures(monkeypatch):
    """Figures take most of the time of a page; these tests read its sentences."""
    monkeypatch.setattr(figures, "both_widths", lambda draw, caption: "")


def walk(steps=20, sequences=1, features=3):
    walks = np.random.default_rng(0).normal(size=(sequences, steps, features)).cumsum(axis=1)
    return walks.astype("float32")


def text_of_page(source, inputs, with_neurons=False, targets=None, **chosen):
    """The text of a page, without its figures."""
    subject = subject_of(source, Sequences(inputs, targets, "x.npy"), **chosen)
    html = page(subject, findings(subject, with_neurons), {})
    return visible(html)


def visible(html):
    html = re.sub(r"<(style|script|svg)\b.*?</\1>", "", html, flags=re.S)
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())
    assert not re.search(r"\b(nan|inf)\b", text), text
    return text


# Sequences


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (walk(1), "At step 1 of 1, output 1 is"),
        (np.full((1, 20, 3), 0.7), "The signal does not change over the sequence"),
    ],
    ids=["one step", "constant"],
)
def test_signals_with_little_to_draw(small, inputs, expected):
    assert expected in text_of_page(small, inputs, with_neurons=True)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (walk(2), "At step 2 of 2, output 1 is"),
        (np.zeros((1, 20, 3)), "None of the changes that were tried moved the answer."),
        (walk()[0], "At step 20 of 20, output 1 is"),
        (1e30 * walk(), "No value moved the answer from that for a typical signal."),
    ],
    ids=["two steps", "zeros", "without batch", "huge"],
)
def test_strange_signals(small, without_figures, inputs, expected):
    assert expected in text_of_page(small, inputs, with_neurons=True)


def test_a_constant_signal_is_not_compared_with_itself(small, without_figures):
    text = text_of_page(small, np.full((1, 20, 3), 0.7))
    assert "all values 10 % larger" in text
    assert "noise" not in text and "deviation" not in text and "lost" not in text


def test_ten_thousand_steps_are_explained_by_the_last_ones(small, without_figures):
    inputs = np.diff(walk(10_001), axis=1)
    text = text_of_page(small, inputs)
    assert "At step 10,000 of 10,000" in text and "over the last 200 steps" in text
    assert "At step 5,000 of 10,000" in text_of_page(small, inputs, step=5_000)


def test_one_feature_is_not_held_at_its_mean(tmp_path, without_figures):
    source = save(tmp_path / "one.keras", lambda x: layers.Dense(1)(liquid()(x)), (None, 1))
    text = text_of_page(source, walk(features=1))
    assert "feature 1 (100 %)" in text and "held at its mean" not in text


def test_the_chosen_sequence_and_step(small):
    given = Sequences(walk(sequences=3), None, "x.npy")
    model = zoo.load(small)
    subject = subject_of(small, given, sequence=2, step=5)
    np.testing.assert_allclose(
        subject.said, model.predict(given.inputs[1:2], verbose=0)[0, 4], 1e-4
    )
    assert subject.notes == ()
    assert subject_of(small, given).notes == (
        "There are 3 sequences in x.npy; this is the first. --sequence N explains another one.",
    )


@pytest.mark.parametrize("number", [0, -1, 21])
def test_steps_out_of_range(small, number):
    with pytest.raises(ValueError, match=rf"`--step` must be from 1 to 20.*received {number}\."):
        subject_of(small, Sequences(walk(), None, "x.npy"), step=number)


def test_sequences_out_of_range(small):
    with pytest.raises(ValueError, match=r"`--sequence` must be from 1 to 1.*received 2\."):
        subject_of(small, Sequences(walk(), None, "x.npy"), sequence=2)


def test_the_chosen_output(small):
    given = Sequences(walk(), None, "x.npy")
    text = text_of_page(small, walk(), output=2)
    expected = zoo.load(small).predict(given.inputs, verbose=0)[0, -1, 1]
    assert f"At step 20 of 20, output 2 is {number(expected)}." in text
    with pytest.raises(ValueError, match=r"`--output` must be from 1 to 2.*received 3\."):
        subject_of(small, given, output=3)


def test_a_step_before_the_end_of_a_model_that_answers_once(tmp_path):
    def read(x):
        return layers.Dense(1, "sigmoid")(liquid(return_sequences=False)(x))

    source = save(tmp_path / "once.keras", read)
    inputs = walk()
    subject = subject_of(source, Sequences(inputs, np.ones((1, 1)), "x.npy"), step=8)
    expected = zoo.load(source).predict(inputs[:, :8], verbose=0)[0]
    np.testing.assert_allclose(subject.said, expected, rtol=1e-4)
    # The target is that of the whole sequence.
    assert subject.length == 8 and subject.truth is None


def test_sequences_with_one_answer_each_are_compared_with_each_other(tmp_path):
    source = save(tmp_path / "m.keras", lambda x: liquid(return_sequences=False)(x))
    # What does not change over a sequence may differ between sequences, such as an age.
    inputs = np.repeat(walk(1, sequences=5), 20, axis=1)
    subject = subject_of(source, Sequences(inputs, None, "x.npy"), sequence=2)
    values = influence(subject, Window(subject)).values
    typical = np.broadcast_to(inputs.mean(axis=(0, 1)), inputs[:1].shape)
    answers = zoo.load(source).predict(np.concatenate([inputs[1:2], typical]), verbose=0)[:, 0]
    assert values.sum() == pytest.approx(answers[0] - answers[1], rel=0.02)


# Models


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda x: layers.LSTM(4, return_sequences=True)(x), "(LSTMCell) has no time constants"),
        (lambda x: layers.GRU(4)(x), "(GRUCell) has no time constants"),
        (
            lambda x: layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)], return_sequences=True)(x),
            "The states of StackedRNNCells in layer 'rnn",
        ),
        (
            lambda x: layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x),
            "Further recurrent layers: bidirectional/forward_lstm",
        ),
        (
            lambda x: layers.LSTM(3, return_sequences=True)(liquid()(x)),
            "The recurrent layer liquid has 4 neurons (LiquidCell)",
        ),
        (
            lambda x: layers.Dense(2, "softmax")(layers.LSTM(4)(x)),
            "the class is output",
        ),
        (
            lambda x: liquid()(layers.Conv1D(4, 3, padding="causal")(x)),
            "The recurrent layer liquid has 4 neurons (LiquidCell) and reads 4 values.",
        ),
    ],
    ids=[
        "LSTM",
        "GRU",
        "stacked cells",
        "Bidirectional",
        "stack",
        "classes without names",
        "Conv1D before",
    ],
)
def test_models_of_strangers(tmp_path, without_figures, read, expected):
    assert expected in text_of_page(save(tmp_path / "m.keras", read), walk(), with_neurons=True)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda x: layers.Reshape((-1, 2, 2))(liquid()(x)), "returns arrays .None, None, 2, 2."),
        (lambda x: layers.Conv1D(2, 3)(x), "m.keras has no recurrent layer .* it has Conv1D"),
        (lambda x: [liquid()(x), layers.Dense(1)(x)], "has 2 outputs"),
        (lambda x: {"a": liquid()(x)}, "returns a dict"),
        (lambda x: liquid()(layers.Conv1D(4, 3, strides=2)(x)), "returns 9 rows for 20 steps"),
        (lambda x: layers.LSTM(4)(layers.Embedding(9, 2)(x[..., 0])), None),
    ],
    ids=["pictures", "no recurrent layer", "two outputs", "dict", "fewer rows", "embedding"],
)
def test_models_that_cannot_be_explained(tmp_path, read, message):
    if message is None:
        x = keras.Input((None,))
        path = str(tmp_path / "m.keras")
        keras.Model(x, layers.LSTM(4)(layers.Embedding(9, 2)(x))).save(path)
        inputs, message = np.ones((1, 20)), "has no input .batch, time, features."
    else:
        path, inputs = save(tmp_path / "m.keras", read), walk()
    with pytest.raises(ValueError, match=message) as error:
        subject_of(path, Sequences(inputs, None, "x.npy"))
    assert "\n" not in str(error.value)


def test_stateful_models_are_refused(tmp_path):
    x = keras.Input(batch_shape=(1, None, 3))
    keras.Model(x, layers.LSTM(4, stateful=True)(x)).save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="is stateful"):
        subject_of(str(tmp_path / "m.keras"), Sequences(walk(), None, "x.npy"))


@keras.saving.register_keras_serializable("test_explain_inputs")
class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.read = layers.LSTM(4)

    def call(self, x):
        return self.read(x)


def test_subclassed_models_are_refused(tmp_path):
    model = Subclassed()
    model(walk())
    model.save(tmp_path / "m.keras")
    with pytest.raises(FileError, match="class 'test_explain_inputs>Subclassed' is not allowed"):
        subject_of(str(tmp_path / "m.keras"), Sequences(walk(), None, "x.npy"))


def test_answers_that_are_not_finite(tmp_path):
    source = save(tmp_path / "m.keras", lambda x: keras.ops.log(-1 - keras.ops.abs(liquid()(x))))
    with pytest.raises(NotFiniteError, match="80 of 80 predictions"):
        subject_of(source, Sequences(walk(), None, "x.npy"))


# Tables


STRANGE = "<script>alert(1)</script> café {0} [°C]"


@pytest.fixture(scope="module")
def table():
    level = walk(120, features=1)[0, :, 0]
    return pd.DataFrame({STRANGE: level, "b": level[::-1] ** 2, "<b>y</b>": 2 * level + 1})


@pytest.fixture(scope="module")
def fitted(table, tmp_path_factory):
    """A folder of a model that was fitted to a table with markup in its names."""
    folder = tmp_path_factory.mktemp("fitted") / "strange"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "MIN_BATCHES", 1)
        zoo.fit(table, "<b>y</b>", units=4, epochs=1, window=20).save(folder)
    return folder


def test_markup_in_names_is_text(fitted, tmp_path):
    result = lnn("explain", fitted, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    html = (tmp_path / "index.html").read_text("utf-8")
    assert "<script>alert" not in html and "<b>y" not in html
    text = visible(html)
    assert STRANGE in text and "<b>y</b> is" in text and "°C" in text


def test_targets_of_a_table_are_the_truth(fitted, table, tmp_path):
    table.to_csv(tmp_path / "with.csv", index=False)
    table.drop(columns="<b>y</b>").to_csv(tmp_path / "without.csv", index=False)
    columns = columns_of(fitted)
    given = {
        name: rows_of_table(tmp_path / f"{name}.csv", columns, sort=False, max_rows=1_000)
        for name in ("with", "without")
    }
    known = subject_of(str(fitted), given["with"], step=50)
    assert known.truth == pytest.approx([table["<b>y</b>"][49]], rel=1e-5)
    assert subject_of(str(fitted), given["without"], step=50).truth is None
    np.testing.assert_allclose(known.signal[:, 0], table[STRANGE], rtol=1e-5)


# The command


def test_inputs_with_gaps_are_refused(small, tmp_path):
    inputs = walk()
    inputs[0, 2, 1] = np.nan
    np.save(tmp_path / "x.npy", inputs)
    result = lnn("explain", small, "--input", tmp_path / "x.npy", "--out", tmp_path / "out")
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
    assert "must be finite; received 1 NaN or infinite values" in result.stderr
    assert not (tmp_path / "out/index.html").exists()


def test_models_without_a_sample_need_an_input(small, tmp_path):
    result = lnn("explain", small, "--out", tmp_path / "out")
    assert result.returncode == 2 and "ships no sample; give the inputs" in result.stderr


def test_a_file_is_no_folder_for_the_page(small, tmp_path):
    (tmp_path / "file").write_text("kept")
    result = lnn("explain", small, "--out", tmp_path / "file")
    assert result.returncode == 2 and "`--out` must be a folder" in result.stderr
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_folders_that_cannot_be_written(small, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    result = lnn("explain", small, "--out", tmp_path / "locked")
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1


def test_a_page_is_replaced_and_other_files_are_kept(small, tmp_path):
    np.save(tmp_path / "x.npy", walk())
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("the page before")
    (out / "notes.txt").write_text("kept")
    result = lnn("explain", small, "--input", tmp_path / "x.npy", "--out", out, "--step", 21)
    assert result.returncode == 2
    assert (out / "index.html").read_text() == "the page before"
    result = lnn("explain", small, "--input", tmp_path / "x.npy", "--out", out)
    assert result.returncode == 0, result.stderr
    assert "At step 20 of 20" in (out / "index.html").read_text("utf-8")
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "notes.txt"]


def test_matplotlib_is_named_if_it_is_missing(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = lnn("explain", small, "--out", tmp_path / "out")
    assert result.returncode != 0 and "lnn-keras[zoo]" in result.stderr
    assert len(result.stderr.splitlines()) == 1
