"""The TFLite converter in a process of its own, which it may crash without harm.

Calibration of some graphs ends the process that runs it. So this file is run as a
program: it reads jobs as lines of JSON, runs the converter, and answers in lines of
JSON. `Converter` is the other end of its pipes.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

JOB, SAMPLES, MODEL = "job.json", "samples.npz", "model.tflite"


class Converter:
    """A process that converts SavedModels, started at the first use and again after a crash."""

    def __init__(self):
        self._process = None
        self._errors = None

    def start(self) -> None:
        """Start the process, which takes seconds to load TensorFlow, and do not wait."""
        if self._process is not None and self._process.poll() is None:
            return
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

    def convert(self, folder: str, signatures: list[str], settings: dict, what: str) -> bytes:
        """Convert the SavedModel in a folder, with its samples in `samples.npz` if there are.

        Args:
            folder: Of the SavedModel.
            signatures: Those to convert, in this order.
            settings: activations and weights, as a Recipe has them.
            what: What is converted, for errors.

        Raises:
            RuntimeError: The converter failed or crashed.
        """
        self.start()
        # What was written before this job is not about it.
        self._errors.seek(0)
        self._errors.truncate()
        job = {"folder": folder, "signatures": signatures, **settings}
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            status = self._process.wait()
            raise RuntimeError(
                f"The TFLite converter crashed on {what} "
                f"({'signal' if status < 0 else 'exit status'} {abs(status)}).\n{self._details()}"
            )
        failure = json.loads(answer)["failure"]
        if failure:
            raise RuntimeError(
                f"The TFLite converter failed on {what}.\n{failure}\n{self._details()}"
            )
        return (Path(folder) / MODEL).read_bytes()

    def _details(self):
        """The last lines of what the process has written for people."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return "\n".join(line for line in lines[-20:] if line.strip())


def run(folder: str, signatures: list[str], activations: str, weights: str) -> None:
    """Convert the SavedModel in a folder; leave `model.tflite` beside it."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=signatures)
    operations = tf.lite.OpsSet.TFLITE_BUILTINS
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if activations != "float32":
        converter.representative_dataset = lambda: _samples(folder, signatures[0])
        dtype = {"int8": tf.int8, "int16": tf.int16}[activations]
        converter.inference_input_type = converter.inference_output_type = dtype
        operations = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
    if activations == "int16":
        operations = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        # CMSIS-NN's FULLY_CONNECTED takes one scale per kernel beside 16-bit numbers.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    converter.target_spec.supported_ops = [operations]
    (Path(folder) / MODEL).write_bytes(converter.convert())


def _samples(folder, signature):
    import numpy as np

    with np.load(Path(folder) / SAMPLES) as stacked:
        named = dict(stacked)
    for index in range(len(next(iter(named.values())))):
        yield signature, {name: values[index] for name, values in named.items()}


def _serve():
    answers = sys.stdout
    # The converter writes to both; answers alone go back.
    sys.stdout = sys.stderr
    for line in sys.stdin:
        try:
            run(**json.loads(line))
            failure = ""
        # It raises many types; all mean the same to the caller.
        except Exception as error:
            failure = str(error).strip() or type(error).__name__
        answers.write(json.dumps({"failure": failure}) + "\n")
        answers.flush()


if __name__ == "__main__":
    # The folder of this file, which Python puts first, holds names of other packages.
    sys.path.pop(0)
    _serve()
