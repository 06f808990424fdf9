"""`to_c`: the folder, statuses of a step, and hosts without a compiler."""

import ctypes

import keras
import numpy as np
import pytest
from export_models import CELLS, WarmCell, reset_names_and_seeds

import export
from export.c import host
from export.c.host import build_library, compiler
from export.c_pipeline import to_c
from lnn_keras import CfCCell, LiquidRNN

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
OK, NOT_FINITE, SATURATED = 0, 1, 2


def data(steps=150):
    random = np.random.default_rng(0)
    return {
        "x": random.standard_normal((1, steps, 2)).astype("float32"),
        "elapsed": random.uniform(0.1, 2.0, (1, steps)).astype("float32"),
    }


@pytest.fixture(scope="module")
def model():
    reset_names_and_seeds()
    x, elapsed = keras.Input((None, 2), name="x"), keras.Input((None,), name="elapsed")
    hidden = LiquidRNN(CfCCell(3), return_sequences=True)(x, elapsed=elapsed)
    return keras.Model([x, elapsed], keras.layers.Dense(2)(hidden), name="Irregular model")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("c") / "device"
    report = to_c(model, folder, recipe="int16", calibration=data(), steps=100)
    assert report.passed and report.target == "c" and report.recipe == "int16"
    return folder


class Device:
    """The compiled step on real values."""

    def __init__(self, folder, prefix):
        names = (f"{prefix}.c", f"{prefix}.h", "lnn_primitives.h")
        self.library = build_library({name: (folder / name).read_text() for name in names})
        self.prefix, self.state = prefix, (ctypes.c_int16 * 64)()
        getattr(self.library, f"{prefix}_reset")(self.state)

    def __call__(self, x, elapsed):
        x, out = np.asarray(x, "float32"), np.full(2, 7.0, "float32")
        status = getattr(self.library, f"{self.prefix}_step")(
            self.state,
            x.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_float(elapsed),
            out.ctypes.data_as(ctypes.c_void_p),
        )
        return status, out


@needs_compiler
def test_a_step_on_real_values_follows_keras(model, folder):
    device = Device(folder, "irregular_model")
    given = data(60)
    expected = np.asarray(model([given["x"], given["elapsed"]]))[0]
    received = [device(given["x"][0, t], given["elapsed"][0, t]) for t in range(60)]
    assert {status for status, _ in received} == {OK}
    outputs = np.array([out for _, out in received])
    assert np.sqrt(np.mean((outputs - expected) ** 2)) < 0.01 * expected.std()


@needs_compiler
def test_inputs_that_are_not_finite_change_nothing(folder):
    device = Device(folder, "irregular_model")
    device([0.5, -0.5], 1.0)
    before = bytes(device.state)
    for x, elapsed in (([np.nan, 0], 1.0), ([0, -np.inf], 1.0), ([0, 0], np.nan)):
        status, out = device(x, elapsed)
        assert status == NOT_FINITE
        assert bytes(device.state) == before and np.all(out == 7.0)


@needs_compiler
def test_values_beyond_their_range_saturate_and_are_reported(folder):
    for x, elapsed in (([1e9, 0], 1.0), ([0, 0], 1e9), ([0, -1e30], 1.0)):
        device = Device(folder, "irregular_model")
        status, out = device(x, elapsed)
        assert status == SATURATED and np.all(np.isfinite(out))


def test_the_same_model_gives_the_same_folder(model, folder, tmp_path):
    to_c(model, tmp_path / "again", recipe="int16", calibration=data(), steps=100)
    for path in folder.glob("*.[ch]"):
        assert path.read_text() == (tmp_path / "again" / path.name).read_text()


@needs_compiler
def test_initial_states_are_those_of_the_cell(tmp_path):
    reset_names_and_seeds()
    inputs = keras.Input((None, 2))
    outputs = keras.layers.RNN(WarmCell(3), return_sequences=True)(inputs)
    report = to_c(
        keras.Model(inputs, outputs), tmp_path / "c", recipe="float32", prefix="warm", steps=20
    )
    assert report.passed
    assert "= 0.5f;" in (tmp_path / "c" / "warm.c").read_text()


def test_without_a_compiler_numpy_runs_the_same_program(model, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(host, "_COMPILERS", ("no-such-compiler",))
    monkeypatch.delenv("CC", raising=False)
    report = to_c(model, tmp_path / "c", recipe="int16", calibration=data(), steps=40)
    assert [result.name for result in report.results] == ["Keras", "C (in NumPy)"]
    assert report.passed
    # The replay has the hash that the compiled source has.
    assert (tmp_path / "c" / "replay.c").read_text() == (folder / "replay.c").read_text()
    with pytest.raises(RuntimeError, match="install gcc or clang"):
        build_library({"a.c": ""})


def test_a_failed_verification_writes_reports_only(model, tmp_path):
    with pytest.raises(export.VerificationError, match="int16x8 file of 'Irregular model' failed"):
        to_c(model, tmp_path / "c", calibration=data(), steps=40, tolerance=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["c.failed"]
    assert {path.name for path in (tmp_path / "c.failed").iterdir()} == {
        "report.json",
        "report.html",
    }


@pytest.mark.parametrize("prefix", ["9lives", "class", "two words", "größe", ""])
def test_prefixes_are_identifiers(model, tmp_path, prefix):
    with pytest.raises(ValueError, match="`prefix` must be a C identifier"):
        to_c(model, tmp_path / "c", recipe="float32", prefix=prefix)
    assert list(tmp_path.iterdir()) == []


def test_operations_without_a_form_in_c_name_their_layer(tmp_path):
    x = data()["x"]
    inputs = keras.Input((None, 2))

    def model_of(outputs):
        return keras.Model(inputs, outputs)

    cell = CELLS["node-dopri5"]()
    adaptive = keras.layers.RNN(cell, return_sequences=True, name="adaptive_steps")(inputs)
    with pytest.raises(ValueError, match="'adaptive_steps' has a loop whose number of iterations"):
        to_c(model_of(adaptive), tmp_path / "c", recipe="float32")
    with pytest.raises(ValueError, match=r"a divisor lies between .* and may be 0"):
        to_c(model_of(1 / (inputs + 0.01)), tmp_path / "c", calibration=x)
    sorted_ = keras.layers.Lambda(lambda v: keras.ops.sort(v, axis=-1), name="sorting")(inputs)
    with pytest.raises(ValueError, match=r"'sorting' uses the operation .* no form in C"):
        to_c(model_of(sorted_), tmp_path / "c", recipe="float32")
    assert list(tmp_path.iterdir()) == []


@needs_compiler
def test_names_that_differ_in_case_or_by_an_underscore(tmp_path):
    """A layer that is called twice has two states; two inputs differ in case only."""
    reset_names_and_seeds()
    upper, lower = keras.Input((None, 2), name="X"), keras.Input((None, 2), name="x")
    twice = keras.layers.SimpleRNN(2, return_sequences=True)
    outputs = {"X": twice(twice(keras.layers.Subtract()([upper, lower])))}
    values = np.random.default_rng(0).standard_normal((2, 1, 60, 2)).astype("float32")
    report = to_c(
        keras.Model([upper, lower], outputs),
        tmp_path / "c",
        recipe="float32",
        evaluation={"X": values[0], "x": values[1]},
        prefix="twice",
        steps=50,
    )
    assert report.passed
    texts = {path.name: path.read_text() for path in (tmp_path / "c").glob("*.[ch]")}
    library = build_library({n: t for n, t in texts.items() if n != "replay_main.c"})
    library.replay_reset()
    for step in range(1000):
        library.replay_step(step)
    library.replay_hash.restype = ctypes.c_uint32
    expected = ctypes.c_uint32.in_dll(library, "replay_expected_hash").value
    assert library.replay_hash() == expected
