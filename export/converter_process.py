"""The TFLite converter in a separate process, so that a crash becomes an exception.

Calibration of some graphs crashes the process (segmentation fault). This file is therefore also
a program: it reads jobs as lines of JSON, runs the converter, and answers in lines of JSON.
`Converter` starts it and communicates through its pipes.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

SAMPLES, MODEL = "samples.npz", "model.tflite"


class Converter:
    """A process that converts SavedModels, started on first use and restarted after a crash.

    It serves one thread at a time.
    """

    def __init__(self):
        self._lock = threading.RLock()
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[bytes] | None = None

    def start(self) -> None:
        """Start the process without waiting; loading TensorFlow takes seconds."""
        with self._lock:
            self._running()

    def _running(self) -> tuple[subprocess.Popen[str], IO[bytes]]:
        """The process, started if it does not run, and the file of its stderr."""
        if self._process is None or self._errors is None or self._process.poll() is not None:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- open as long as the process
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
            atexit.register(self._process.kill)
        return self._process, self._errors

    def convert(
        self, folder: str, signatures: list[str], settings: dict[str, str], subject: str
    ) -> bytes:
        """Convert the SavedModel in a folder, calibrated on its `samples.npz` if it has one.

        Args:
            folder: The folder of the SavedModel.
            signatures: The signatures to convert, in this order.
            settings: "activations" and "weights", as in a Recipe.
            subject: Description of the model, for errors.

        Raises:
            RuntimeError: The converter failed or crashed.
        """
        with self._lock:
            self._request({"folder": folder, "signatures": signatures, **settings}, subject)
        return (Path(folder) / MODEL).read_bytes()

    def _request(self, job: dict[str, Any], subject: str) -> None:
        """Send a job, and wait until it is done."""
        process, errors = self._running()
        assert process.stdin is not None and process.stdout is not None
        # Discard the messages of earlier jobs.
        errors.seek(0)
        errors.truncate()
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            status = process.wait()
            raise RuntimeError(
                f"The TFLite converter crashed on {subject} "
                f"({'signal' if status < 0 else 'exit status'} {abs(status)}).\n"
                f"{_last_lines(errors)}"
            )
        failure = json.loads(answer)["failure"]
        if failure:
            raise RuntimeError(
                f"The TFLite converter failed on {subject}.\n{failure}\n{_last_lines(errors)}"
            )


# The process that all conversions share. Started before Keras is imported, it loads TensorFlow at
# the same time.
converter = Converter()


def _last_lines(errors):
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return "\n".join(line for line in lines[-20:] if line.strip())


def run(folder: str, signatures: list[str], activations: str, weights: str) -> None:
    """Convert the SavedModel in a folder and write `model.tflite` into the folder."""
    import tensorflow as tf

    from export import compat

    converter: Any = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=signatures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if activations != "float32":
        converter.representative_dataset = lambda: _samples(folder, signatures[0])
        dtype = {"int8": tf.int8, "int16": tf.int16}[activations]
        converter.inference_input_type = converter.inference_output_type = dtype
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if activations == "int16":
        compat.quantize_activations_to_int16(converter)
    (Path(folder) / MODEL).write_bytes(converter.convert())


def _samples(folder: str, signature: str) -> Iterator[tuple[str, dict[str, Any]]]:
    import numpy as np

    with np.load(Path(folder) / SAMPLES) as stacked:
        named = dict(stacked)
    for index in range(len(next(iter(named.values())))):
        yield signature, {name: values[index] for name, values in named.items()}


def _load_tensorflow():
    """Import TensorFlow and its converter while no job waits yet."""
    import tensorflow as tf

    _ = tf.lite.TFLiteConverter


def _serve():
    answers = sys.stdout
    # The converter prints to stdout as well, which must carry only answers.
    sys.stdout = sys.stderr
    _load_tensorflow()
    for line in sys.stdin:
        try:
            run(**json.loads(line))
            failure = ""
        # The converter raises many types.
        except Exception as error:
            failure = str(error).strip() or type(error).__name__
        answers.write(json.dumps({"failure": failure}) + "\n")
        answers.flush()


if __name__ == "__main__":
    # Python puts this file's folder first in the path, where modules have names of other packages.
    # Import this checkout's `export` from the parent folder, which then leaves the path as well.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    import export.compat  # noqa: F401 - `run` uses it

    sys.path.pop(0)
    _serve()
