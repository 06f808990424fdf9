"""Models in C that learn from targets: parity with Keras, and saved states."""

import ctypes

import keras
import numpy as np
import pytest
from export_models import reset_names_and_seeds

from export import recipes
from export.adaptation import Adaptation, adaptive_data
from export.c.compile import c_model
from export.c.host import build_library, compiler
from export.c_pipeline import to_c
from export.data import as_sequences
from export.forms.step import to_step
from export.runtimes.c_code import simulated
from export.runtimes.rollout import rollout
from lnn_keras import LiquidCell
from lnn_keras.adapt import LeastMeanSquares

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
STEPS = 1000


@pytest.fixture(scope="module")
def stream():
    """A model, and a stream whose truth differs from what the model learned."""
    reset_names_and_seeds()
    inputs = keras.Input((None, 3))
    cell = keras.layers.RNN(LiquidCell(4, unfolds=2), return_sequences=True)
    model = keras.Model(inputs, keras.layers.Dense(2)(cell(inputs)))
    x = np.random.default_rng(0).standard_normal((1, STEPS, 3)).astype("float32")
    return model, x, 1.5 * np.asarray(model(x)) + 0.3


@pytest.fixture(scope="module")
def folder(stream, tmp_path_factory):
    model, x, y = stream
    folder = tmp_path_factory.mktemp("learning") / "c"
    report = to_c(
        model,
        folder,
        recipe="float32",
        evaluation=(x, y),
        adapt="readout",
        prefix="learner",
        steps=STEPS,
    )
    return folder, report


def test_weights_learned_over_a_thousand_steps_equal_those_in_keras(folder):
    _, report = folder
    assert report.passed and report.steps == STEPS
    keras_result, in_c = report.results
    assert in_c.learned_error < 1e-4
    assert in_c.metric == pytest.approx(keras_result.metric, rel=1e-4)


def test_numpy_learns_the_same_bits(stream):
    model, x, y = stream
    data = adaptive_data(model, Adaptation(LeastMeanSquares()), (x[:, :40], y[:, :40]))
    step = to_step(data.model)
    source = c_model(step, recipes.get("float32"))
    sequences = as_sequences(step, data.inputs)
    from export.runtimes.c_code import CCode

    compiled = rollout(CCode(source), sequences, step.initial_states)
    in_numpy = rollout(simulated(source), sequences, step.initial_states)
    for name, values in in_numpy.states.items():
        np.testing.assert_array_equal(values, compiled.states[name])


class Device:
    """The functions of the folder's model, as a firmware calls them."""

    def __init__(self, folder):
        names = ("learner.c", "learner.h", "lnn_primitives.h")
        self.library = build_library({name: (folder / name).read_text() for name in names})
        header = (folder / "learner.h").read_text()
        self.saved_bytes = int(header.split("LEARNER_SAVED_BYTES ")[1].split()[0])
        self.state = (ctypes.c_float * 4096)()
        self.library.learner_reset(self.state)

    def step(self, x):
        out = np.zeros(2, "float32")
        x = np.ascontiguousarray(x, "float32")
        status = self.library.learner_step(self.state, _pointer(x), _pointer(out))
        return status, out

    def adapt(self, target):
        target = np.ascontiguousarray(target, "float32")
        self.library.learner_adapt(self.state, _pointer(target))

    def save(self):
        bytes_ = (ctypes.c_uint8 * self.saved_bytes)()
        self.library.learner_save(self.state, bytes_)
        return bytes(bytes_)

    def restore(self, content):
        return self.library.learner_restore(self.state, (ctypes.c_uint8 * len(content))(*content))


def _pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def follow(device, x, y, steps):
    errors = []
    for t in steps:
        if t:
            device.adapt(y[0, t - 1])
        errors.append(np.abs(device.step(x[0, t])[1] - y[0, t]).max())
    return np.array(errors)


def test_a_device_learns_saves_and_goes_on(folder, stream):
    _, x, y = stream
    first = Device(folder[0])
    errors = follow(first, x, y, range(300))
    assert errors[200:].mean() < 0.2 * errors[:10].mean()
    saved = first.save()
    assert saved[:4] == b"LNNC" and len(saved) == first.saved_bytes
    second = Device(folder[0])
    assert second.restore(saved) == 0
    assert second.save() == saved
    # What was learned is there at once; the state of the cell starts anew.
    assert follow(second, x, y, range(300, 320)).mean() < 0.3 * errors[:10].mean()


def test_damaged_states_change_nothing(folder):
    device = Device(folder[0])
    device.step(np.ones(3))
    device.adapt([0.5, -0.5])
    saved = device.save()
    for position in (0, 4, 8, 12, len(saved) // 2, len(saved) - 1):
        damaged = bytearray(saved)
        damaged[position] ^= 1
        assert device.restore(bytes(damaged)) == 3
        assert device.save() == saved
    assert device.restore(bytes(len(saved))) == 3


def test_unknown_targets_teach_nothing(folder):
    device = Device(folder[0])
    for value in (np.nan, np.inf, -np.inf, 3e38):
        device.step(np.ones(3))
        device.adapt([value, value])
    status, out = device.step(np.ones(3))
    assert status == 0 and np.all(np.isfinite(out))


def test_integers_and_no_delay_are_refused(stream, tmp_path):
    model, x, y = stream
    with pytest.raises(ValueError, match="needs recipe 'float32' in C"):
        to_c(model, tmp_path / "a", calibration=x, evaluation=(x, y), adapt="readout")
    with pytest.raises(ValueError, match="`delay` must be at least 1"):
        to_c(
            model,
            tmp_path / "b",
            recipe="float32",
            evaluation=(x, y),
            adapt=Adaptation(delay=0),
        )
    assert list(tmp_path.iterdir()) == []
