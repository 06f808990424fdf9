"""A runtime in a process of its own, for files that this process did not make."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from export import compat
from export.runtimes.runtime_process import SILENCE_SECONDS, Lease
from export.targets import MICRO, SEQUENCE, STEP, XNNPACK
from export.tflite_file.flatbuffer import Signature, read_signature

# A whole sequence runs without a sign of life: more time for each of its rows.
SECONDS_PER_ROW = 0.01


class Isolated:
    """Runs a .tflite file in another process, with the interface of `LiteRT` and `Micro`.

    Args:
        content: The file, which `require_sound` accepts.
        runtime: Name of the runtime, as in `Target.runtimes`.

    Attributes:
        name: Name of the runtime.
        signature: Inputs and outputs of the step.
        arena_bytes: Arena on TFLite Micro on this host; None on LiteRT.

    Raises:
        ImportError: The runtime is not installed.
        RuntimeError: The runtime rejects the file, or dies or hangs on it; one line.
    """

    def __init__(self, content: bytes, runtime: str):
        self.name = compat.runtime_name(runtime)
        self.signature = read_signature(content)
        self._lease = Lease()
        header = {"do": "start", **_settings(runtime, self.signature)}
        try:
            answer, _ = self._lease.process.request(header, [np.frombuffer(content, "uint8")])
        except RuntimeError as error:
            raise RuntimeError(_sentence(self.name, "rejects the file", error)) from error
        self.arena_bytes: int | None = answer["arena_bytes"]

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        return self._request({"do": "invoke"}, inputs)

    def run_steps(
        self,
        rows: Mapping[int, np.ndarray],
        initial: list[np.ndarray],
        feedback: Sequence[tuple[int, int]],
        length: int,
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Run steps in closed loop; see `interpreters.run_steps`."""
        header = {"do": "steps", "rows": list(rows), "feedback": feedback, "length": length}
        *outputs, seconds = self._request(header, [*rows.values(), *initial])
        return outputs, seconds

    def _request(self, header: dict[str, Any], arrays: list[np.ndarray]) -> list[np.ndarray]:
        try:
            return self._lease.process.request(header, arrays)[1]
        except RuntimeError as error:
            raise RuntimeError(_sentence(self.name, "fails on the file", error)) from error


def run_isolated_sequence(
    content: bytes, inputs: Mapping[str, np.ndarray], xnnpack: bool
) -> dict[str, np.ndarray]:
    """Run a file's signature `sequence` in another process.

    Raises:
        RuntimeError: The runtime rejects the file, or dies or hangs on it; one line.
    """
    batch, length = next(iter(inputs.values())).shape[:2]
    header = {
        "do": "sequence",
        "signature": SEQUENCE,
        "xnnpack": xnnpack,
        "names": list(inputs),
    }
    arrays = [np.frombuffer(content, "uint8"), *inputs.values()]
    seconds = SILENCE_SECONDS + SECONDS_PER_ROW * batch * length
    try:
        answer, outputs = Lease().process.request(header, arrays, seconds)
    except RuntimeError as error:
        raise RuntimeError(_sentence("LiteRT", "fails on the file", error)) from error
    return dict(zip(answer["names"], outputs, strict=True))


def _settings(runtime: str, signature: Signature) -> dict[str, Any]:
    if runtime == MICRO:
        inputs = [(tensor.shape, tensor.dtype) for tensor in signature.inputs]
        settings = {"inputs": inputs, "outputs": len(signature.outputs)}
        return {"runtime": "micro", "settings": settings}
    settings = {
        "xnnpack": runtime == XNNPACK,
        "signature": STEP,
        "inputs": [(tensor.name, tensor.position) for tensor in signature.inputs],
        "outputs": [(tensor.name, tensor.position) for tensor in signature.outputs],
    }
    return {"runtime": "litert", "settings": settings}


def _sentence(name: str, what: str, error: RuntimeError) -> str:
    text = str(error).removeprefix(f"{name} {what}: ")
    return f"{name} {what}: {text}"
