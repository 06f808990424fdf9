"""The converter's process: a crash becomes an error, and the next conversion works."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from export_models import calibrated, reset_names_and_seeds, sequential

from export.convert import converter
from export.converter_process import SAMPLES, Converter
from export.forms.step import to_step
from export.graph import tf_graph
from export.tflite_file.flatbuffer import read_signature
from lnn_keras import LiquidRNN, NODECell

INT8 = {"activations": "int8", "weights": "int8"}


@pytest.mark.slow  # Two processes load TensorFlow, one after the other.
def test_a_crash_of_the_converter_is_an_error_and_the_next_one_works(signal, tmp_path):
    """Calibration of a loop crashes the process; a second job starts another."""
    loop = LiquidRNN(NODECell(4, solver="dopri5"), return_sequences=True)
    step, samples = calibrated(sequential(loop), signal[:1, :3])
    tf_graph.save({"step": tf_graph.trace(step.model, 1)}, tmp_path)
    stacked = {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
    np.savez(tmp_path / SAMPLES, **stacked)
    with pytest.raises(RuntimeError, match=r"crashed on the loop \(signal \d+\)"):
        converter.convert(str(tmp_path), ["step"], INT8, "the loop")
    float32 = {"activations": "float32", "weights": "float32"}
    assert len(converter.convert(str(tmp_path), ["step"], float32, "the loop")) > 1000


def test_a_failure_of_the_converter_is_an_error_with_its_message(tmp_path):
    with pytest.raises(RuntimeError, match=r"failed on nothing\.\nSavedModel file does not exist"):
        converter.convert(
            str(tmp_path), ["step"], {"activations": "float32", "weights": "int8"}, "nothing"
        )


def test_the_process_loads_tensorflow_before_the_first_job():
    """Commands start it first, and import TensorFlow themselves meanwhile."""
    if not Path("/proc/self/maps").exists():
        pytest.skip("needs Linux's list of the files that a process has loaded")
    started = Converter()
    started.start()
    process, _ = started._running()
    try:
        end = time.monotonic() + 120
        loaded = Path(f"/proc/{process.pid}/maps")
        while "libtensorflow" not in loaded.read_text() and time.monotonic() < end:
            time.sleep(0.1)
        assert "libtensorflow" in loaded.read_text()
    finally:
        process.kill()
        process.wait()


def test_threads_convert_one_after_another(tmp_path):
    """They share a process and its pipes."""
    reset_names_and_seeds()
    names = ("stateless", "simple")
    folders = [tmp_path / str(number) for number in range(len(names))]
    for name, folder in zip(names, folders, strict=True):
        tf_graph.save({"step": tf_graph.trace(to_step(sequential(name)).model, 1)}, folder)

    def convert(folder):
        settings = {"activations": "float32", "weights": "float32"}
        content = converter.convert(str(folder), ["step"], settings, folder.name)
        return len(read_signature(content).inputs)

    with ThreadPoolExecutor(len(names)) as pool:
        inputs = list(pool.map(convert, folders))
    # The recurrent layer has a state.
    assert inputs == [1, 2]
