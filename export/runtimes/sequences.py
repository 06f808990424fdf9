"""Whole sequences on LiteRT."""

import numpy as np

from export.runtimes.interpreters import run_signature
from export.runtimes.isolated import run_isolated_sequence
from export.targets import SEQUENCE
from export.tflite_file.flatbuffer import read_signature
from export.tflite_file.own_files import is_own
from export.tflite_file.verifier import require_readable


def run_sequence(
    content: bytes, inputs: dict[str, np.ndarray], xnnpack: bool = True
) -> dict[str, np.ndarray]:
    """Run a file's signature `sequence` on whole sequences.

    A file that this process did not make is verified first, and runs in another process.

    Args:
        content: The .tflite file.
        inputs: Sequences (batch, time, ...) by name.
        xnnpack: Let XNNPACK run the operations that it has kernels for.

    Raises:
        ValueError: The file is damaged, or its inputs have other names.
        RuntimeError: The interpreter rejects the file, or dies on it.
    """
    require_readable(content)
    names = {tensor.name for tensor in read_signature(content, SEQUENCE).inputs}
    if names != set(inputs):
        raise ValueError(
            f"The file's sequences have the inputs {', '.join(sorted(names))}; received "
            f"{', '.join(sorted(inputs))}."
        )
    if is_own(content):
        return run_signature(content, SEQUENCE, inputs, xnnpack)
    return run_isolated_sequence(content, inputs, xnnpack)
