"""Claims of the field: changes of sequences, equal models, runs that resume, the command."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from command_line import lnn

from zoo.claims import changes, measurements, models, page, results, training
from zoo.claims.tasks import TASKS, Sequences
from zoo.experiments.runs import trainable_parameters

TINY = training.Extent("tiny", (0.006,), 1, 0.02, 128, 100, 64, 3, 10, 1)


def sequences(count=6, steps=8, features=3):
    """Sequences whose inputs and targets say which step they are of."""
    random = np.random.default_rng(0)
    index = np.arange(steps, dtype="float32")
    inputs = np.broadcast_to(index[None, :, None], (count, steps, features)).copy()
    elapsed = random.uniform(0.5, 2.0, (count, steps)).astype("float32")
    return Sequences(inputs, elapsed, inputs[..., :2] + 100, np.arange(count) // 2)


def test_slower_sampling_keeps_the_last_step_and_sums_elapsed_times():
    whole = sequences()
    half = changes.slower_sampling(whole, np.ones(3))
    assert half.inputs[0, :, 0].tolist() == [1, 3, 5, 7]
    assert half.targets[0, :, 0].tolist() == [101, 103, 105, 107]
    pairs = whole.elapsed.reshape(len(whole.inputs), 4, 2).sum(axis=-1)
    np.testing.assert_allclose(half.elapsed, pairs, rtol=1e-5)


@pytest.mark.parametrize("share", changes.MISSING)
def test_missing_steps_differ_by_sequence_and_keep_order_time_and_targets(share):
    whole = sequences(count=40)
    gaps = changes.missing(share)(whole, np.ones(3))
    kept = gaps.inputs[..., 0]
    assert kept.shape == (40, round((1 - share) * 8))
    assert (np.diff(kept, axis=1) > 0).all() and (kept[:, -1] == 7).all()
    assert len(np.unique(kept, axis=0)) > 1
    np.testing.assert_array_equal(gaps.targets[..., 0], kept + 100)
    np.testing.assert_allclose(gaps.elapsed.sum(axis=1), whole.elapsed.sum(axis=1), rtol=1e-5)


def test_missing_steps_leave_a_target_of_the_whole_sequence_as_it_is():
    whole = replace(sequences(), targets=np.arange(6, dtype="float32")[:, None])
    gaps = changes.missing(0.75)(whole, np.ones(3))
    np.testing.assert_array_equal(gaps.targets, whole.targets)


def test_noise_gain_and_bias_are_in_units_of_each_feature():
    whole, deviation = sequences(count=500), np.array([1.0, 10.0, 0.0])
    noise = changes.noise(0.5)(whole, deviation).inputs - whole.inputs
    np.testing.assert_allclose(noise.std(axis=(0, 1)), [0.5, 5.0, 0.0], rtol=0.05)
    again = changes.noise(0.5)(whole, deviation).inputs - whole.inputs
    np.testing.assert_array_equal(noise, again)
    np.testing.assert_allclose(changes.gain(whole, deviation).inputs, 1.5 * whole.inputs)
    added = changes.bias(whole, deviation).inputs - whole.inputs
    np.testing.assert_allclose(added[0, 0], [0.5, 5.0, 0.0])


def test_joined_sequences_follow_each_other():
    whole = sequences()
    joined = whole.of_groups(np.array([1])).joined()
    assert joined.inputs.shape == (1, 16, 3)
    np.testing.assert_array_equal(joined.elapsed[0], whole.elapsed[2:4].ravel())


@pytest.mark.parametrize(("task", "layer"), product(TASKS, models.LAYERS))
def test_models_have_equal_numbers_of_parameters(task, layer):
    features = {"half-cheetah": 17, "icu-mortality": 91, "ecg-arrhythmia": 35}[task]
    for budget, largest in ((models.BUDGET, 0.05), (models.BUDGET // 4, models.TOLERANCE)):
        units = models.units_within_budget(TASKS[task], layer, features, budget)
        model = models.build(TASKS[task], layer, units, features)
        assert abs(trainable_parameters(model) / budget - 1) <= largest


def test_only_layers_that_take_elapsed_times_have_that_input():
    for name, layer in models.LAYERS.items():
        model = models.build(TASKS["half-cheetah"], name, 4, 17)
        assert [x.name for x in model.inputs] == ["signal", "elapsed"][: 1 + layer.takes_elapsed]


# Runs


def test_an_interrupted_measurement_resumes_without_measuring_again(tmp_path, monkeypatch):
    made = []

    def interrupted(trained):
        made.append(trained.layer)
        if trained.layer == "gru" and made.count("gru") == 1:
            raise KeyboardInterrupt
        return measurements._costs(trained)

    monkeypatch.setitem(measurements.MEASUREMENTS, "training", interrupted)
    choice = results.Choice(("training-time",), ("half-cheetah",), ("liquid", "lstm", "gru"), False)
    with pytest.raises(KeyboardInterrupt):
        results.measure(choice, TINY, tmp_path, lambda sentence: None)
    findings = results.measure(choice, TINY, tmp_path, lambda sentence: None)
    assert made == ["liquid", "lstm", "gru", "gru"]
    again = results.measure(choice, TINY, tmp_path, lambda sentence: None)
    assert len(made) == 4
    assert page.markdown(again, "x") == page.markdown(findings, "x")


def test_a_learning_rate_with_which_a_training_diverges_is_not_chosen(tmp_path, monkeypatch):
    class Run:
        best = 0.5

    def run(bench, layer, seed, rate, variant="usual"):
        if rate > 0.01:
            raise FloatingPointError("The training loss became nan in epoch 1.")
        return Run

    monkeypatch.setattr(training.Bench, "_run", run)
    bench = training.Bench(TASKS["half-cheetah"], training.FULL, tmp_path, print)
    assert bench.learning_rate("gru") == 0.002


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"settings": {}, "values": 3}'])
def test_a_damaged_file_of_a_run_is_named(content, tmp_path):
    path = tmp_path / "seed0.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"seed0.json is damaged .*Remove it"):
        measurements.kept(path, "device", {}, dict)
    assert path.read_text() == content


def test_a_file_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "seed0.json"
    measurements.kept(path, "device", {"epochs": 1}, lambda: {"flash": 1.0})
    with pytest.raises(ValueError, match=r"other settings .*--runs"):
        measurements.kept(path, "device", {"epochs": 2}, dict)


def test_measurements_of_a_run_share_a_file_and_fresh_values_equal_those_read(tmp_path):
    path = tmp_path / "seed0.json"
    first = measurements.kept(path, "a", {}, lambda: {"x": [1 / 3, 2.0], "y": 123456.7})
    measurements.kept(path, "b", {}, lambda: {"z": 1.0})
    assert first == measurements.kept(path, "a", {}, dict) == {"x": [0.33333, 2.0], "y": 123460.0}
    assert set(json.loads(path.read_text())["values"]) == {"a", "b"}


@pytest.mark.slow
def test_two_quick_runs_of_a_seed_give_the_same_figures(tmp_path):
    figures = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        lnn("bench", "claims", "--quick", "--out", "page.md", cwd=folder)
        lines = (folder / "page.md").read_text().splitlines()
        figures.append([line for line in lines if page.TIME_MARK not in line])
        figures[-1] += (folder / "page.svg").read_text().splitlines()
    different = [pair for pair in zip(*figures, strict=True) if pair[0] != pair[1]]
    assert not different


# The command


@pytest.mark.parametrize(
    ("option", "name", "nearest"),
    [
        ("claim", "robust", "robustness"),
        ("task", "halfcheetah", "half-cheetah"),
        ("cell", "liqud", "liquid"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(option, name, nearest):
    answer = lnn("bench", "claims", f"--{option}", name)
    assert answer.returncode == 2
    assert f"Unknown {option} {name!r}" in answer.stderr
    assert f"Did you mean {nearest!r}?" in answer.stderr


def test_missing_data_are_named_before_any_training(tmp_path):
    answer = lnn("bench", "claims", "--runs", tmp_path / "runs", LNN_DATA_DIR=str(tmp_path))
    assert answer.returncode == 2
    assert "lacks 25 of the 25 files of 'half_cheetah'" in answer.stderr
    assert not (tmp_path / "runs").exists()


def test_a_page_that_cannot_be_written_is_refused_before_any_training(tmp_path):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "page.md"
    answer = lnn("bench", "claims", "--quick", "--runs", tmp_path / "runs", "--out", out)
    assert answer.returncode == 2 and "page.md" in answer.stderr
    assert not (tmp_path / "runs").exists()


def test_the_figure_does_not_replace_the_page(tmp_path):
    answer = lnn("bench", "claims", "--quick", "--out", tmp_path / "page.svg")
    assert answer.returncode == 2 and "Markdown file" in answer.stderr


def test_without_compilers_the_page_says_what_was_not_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(training, "QUICK", TINY)
    options = ["--claim", "real-time", "--claim", "energy", "--task", "half-cheetah"]
    options += ["--cell", "cfc", "--cell", "gru", "--runs", tmp_path / "runs"]
    answer = lnn("bench", "claims", "--quick", *options, "--out", tmp_path / "page.md")
    assert answer.returncode == 0, answer.stderr
    text = (tmp_path / "page.md").read_text()
    assert "Not measured on this computer: p50, µs; p99, µs; most instructions" in text
    assert "| multiply-accumulates | half-cheetah |" in text


def test_the_command_prints_verdicts_and_writes_the_page_with_its_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "QUICK", TINY)
    options = ["--claim", "robustness", "--claim", "training-time", "--task", "half-cheetah"]
    options += ["--cell", "liquid", "--cell", "gru", "--runs", tmp_path / "runs"]
    answer = lnn("bench", "claims", "--quick", *options, "--out", tmp_path / "page.md")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[0].split() == ["claim", "LiquidCell", "verdict"]
    assert "training half-cheetah, gru, usual, seed 0, rate 0.006" in answer.stderr
    text = (tmp_path / "page.md").read_text()
    assert "| seconds of an epoch (time) | all tasks |" in text
    assert "## Robustness" in text and "(page.svg)" in text and "## Mackey" not in text
    assert "too few pairs" in text and "| half-cheetah | GRU |" in text
    assert "<svg" in (tmp_path / "page.svg").read_text()
    assert max(map(len, (line for line in text.splitlines() if line[:1] not in "|!"))) <= 100


def test_an_interrupted_command_says_how_to_go_on(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(results, "measure", interrupted)
    answer = lnn("bench", "claims", "--runs", tmp_path / "runs")
    assert answer.returncode == 130
    assert f"The same command resumes from {tmp_path / 'runs'}" in answer.stderr


def test_the_yardstick_is_printed_with_published_results(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "QUICK", TINY)
    answer = lnn(
        "bench", "claims", "--quick", "--claim", "mackey-glass", "--runs", tmp_path, COLUMNS="200"
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("mackey-glass")
    assert "LSTM of NeuroBench" in answer.stdout and "490,000" in answer.stdout
