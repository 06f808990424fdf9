"""Files of others run in a process of their own: same numbers, and a death is an error."""

import os
import signal as signals
import sys
import threading

import numpy as np
import pytest

from export.runtimes import isolated, runtime_process
from export.runtimes.capture_stderr import CapturedErrors
from export.runtimes.isolated import Isolated
from export.runtimes.rollout import rollout
from export.runtimes.sequences import run_sequence
from export.runtimes.start import start_runtimes
from export.targets import BUILT_IN, MICRO, XNNPACK
from export.tflite_file import own_files
from tests.stress import tflite_files, tflite_threads

NAMES = (XNNPACK, BUILT_IN, MICRO)
# Files of the stress of threads and of damaged files that are quick to convert.
FILES = ("liquid micro int8", "liquid phone float32")


@pytest.fixture(scope="module")
def files():
    return {base.name: base.content for base in tflite_files.bases(FILES)}


@pytest.fixture
def strangers(monkeypatch):
    """Treat all files as those of others."""
    monkeypatch.setattr(own_files, "_digests", set())


def data(length=5):
    return {"x": np.random.default_rng(0).standard_normal((2, length, 3)).astype("float32")}


def input_name(runtime):
    return runtime.signature.data_inputs[0].name


def test_another_process_returns_the_same_numbers(files, monkeypatch):
    pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
    content = files["liquid micro int8"]
    here, _, _ = start_runtimes(content, NAMES)
    monkeypatch.setattr(own_files, "_digests", set())
    there, missing, rejections = start_runtimes(content, NAMES)
    assert not missing and not rejections
    assert all(isinstance(runtime, Isolated) for runtime in there)
    for local, other in zip(here, there, strict=True):
        assert local.name == other.name and local.arena_bytes == other.arena_bytes
        name = input_name(local)
        values = {name: data()["x"]}
        first, second = rollout(local, values), rollout(other, values)
        for part in ("outputs", "states"):
            for key, expected in getattr(first, part).items():
                np.testing.assert_array_equal(getattr(second, part)[key], expected)
        zeros = [np.zeros(t.shape, t.dtype) for t in local.signature.inputs]
        for expected, received in zip(local.invoke(zeros), other.invoke(zeros), strict=True):
            np.testing.assert_array_equal(received, expected)


def test_whole_sequences_too(files, monkeypatch):
    content = files["liquid phone float32"]
    inputs = {tflite_input(content): data()["x"]}
    expected = run_sequence(content, inputs)
    monkeypatch.setattr(own_files, "_digests", set())
    received = run_sequence(content, inputs)
    assert received.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(received[name], values)


def tflite_input(content):
    from export.tflite_file.flatbuffer import read_signature

    return read_signature(content, "sequence").inputs[0].name


def test_inputs_of_other_names_are_an_error(files):
    with pytest.raises(ValueError, match="have the inputs x; received y"):
        run_sequence(files["liquid phone float32"], {"y": data()["x"]})


def test_a_process_that_dies_is_an_error_of_its_file_only(files, strangers):
    content = files["liquid micro int8"]
    (first, second), _, _ = start_runtimes(content, (XNNPACK, BUILT_IN))
    zeros = [np.zeros(t.shape, t.dtype) for t in first.signature.inputs]
    first._lease.process._process.kill()
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"XNNPACK\) fails on the file: .* died \(signal 9"):
            first.invoke(zeros)
    assert len(second.invoke(zeros)) > 0
    # The dead process is not taken for the next file.
    del first
    (third,), _, _ = start_runtimes(content, (XNNPACK,))
    assert len(third.invoke(zeros)) > 0


@pytest.mark.skipif(not hasattr(signals, "SIGSTOP"), reason="no such signal here")
def test_a_process_that_hangs_is_an_error(files, strangers, monkeypatch):
    (runtime,), _, _ = start_runtimes(files["liquid micro int8"], (BUILT_IN,))
    monkeypatch.setattr(runtime_process, "SILENCE_SECONDS", 0.2)
    os.kill(runtime._lease.process._process.pid, signals.SIGSTOP)
    zeros = [np.zeros(t.shape, t.dtype) for t in runtime.signature.inputs]
    with pytest.raises(RuntimeError, match=r"no answer within 0.2 s"):
        runtime.invoke(zeros)


def test_an_error_of_the_runtime_is_one_line(files, strangers):
    (runtime,), _, _ = start_runtimes(files["liquid micro int8"], (XNNPACK,))
    with pytest.raises(RuntimeError) as raised:
        runtime.invoke([np.zeros((3, 3), "float64") for _ in runtime.signature.inputs])
    assert len(str(raised.value).splitlines()) == 1


def test_a_missing_wheel_is_missing_in_the_other_process_too(files, strangers, monkeypatch):
    def request(self, header, arrays=(), seconds=None):
        raise ImportError("No module named 'tflite_micro'")

    monkeypatch.setattr(runtime_process.RuntimeProcess, "request", request)
    assert start_runtimes(files["liquid micro int8"], (MICRO,)) == ([], [MICRO], {})


def test_quantize_refuses_what_is_not_finite(files):
    (runtime,), _, _ = start_runtimes(files["liquid micro int8"], (XNNPACK,))
    for tensor in runtime.signature.inputs:
        values = np.zeros(tensor.shape, "float32")
        for broken in (np.nan, np.inf, -np.inf):
            values.flat[0] = broken
            with pytest.raises(ValueError, match=f"Tensor '{tensor.name}' .* received {broken}"):
                tensor.quantize(values)
        # Finite values out of range saturate.
        values.flat[0] = 3e38
        assert tensor.quantize(values).flat[0] == np.iinfo("int8").max


def test_text_of_other_threads_survives_a_capture(capfd):
    stop, written = threading.Event(), []

    def write():
        while not stop.wait(0.0005):
            line = f"line {len(written)}"
            stream = sys.__stderr__ if len(written) % 2 else sys.stderr
            # In one write: `print` writes the end of a line separately.
            print(f"{line}\n", end="", file=stream, flush=True)
            written.append(line)

    thread = threading.Thread(target=write)
    thread.start()
    texts = []

    def capture(number):
        for _ in range(20):
            with CapturedErrors() as errors:
                os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
                os.write(2, f"own {number}\n".encode())
                texts.append((number, errors.read()))

    captures = [threading.Thread(target=capture, args=(number,)) for number in range(4)]
    for other in captures:
        other.start()
    for other in captures:
        other.join()
    stop.set()
    thread.join()
    # A line that was written while the last capture ended is shown with the next one.
    with CapturedErrors():
        pass
    shown = capfd.readouterr().err.splitlines()
    # Captured lines are written when the capture ends, so a later line may precede them.
    assert sorted(line for line in shown if line.startswith("line ")) == sorted(written)
    assert not any("XNNPACK" in line for line in shown)
    assert all(f"own {number}" in text and "XNNPACK" in text for number, text in texts)


def test_steppers_in_16_threads():
    result = tflite_threads.run(24, 0, FILES, strange=12)
    assert result.tried == 25 and result.failures == []


def test_damaged_files_are_errors(monkeypatch):
    # `check` shortens the time that a process may be silent.
    monkeypatch.setattr(runtime_process, "SILENCE_SECONDS", 4.0)
    monkeypatch.setattr(isolated, "SILENCE_SECONDS", 4.0)
    monkeypatch.setattr(isolated, "SECONDS_PER_ROW", 0.0)
    result = tflite_files.run(60, 0, FILES, in_this_process=True)
    assert result.tried >= 60 and result.failures == []
