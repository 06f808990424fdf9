"""Ranges of an integer file's tensors, observed while it runs on samples."""

from collections.abc import Sequence

import numpy as np

from export.runtimes.interpreters import make_interpreter
from export.tflite_file.flatbuffer import read_signature


def observed_ranges(
    content: bytes, samples: Sequence[dict[str, np.ndarray]], most: int
) -> dict[int, tuple[int, int]]:
    """Return the least and greatest integer of each tensor, by its index in the file.

    Args:
        content: An integer file.
        samples: Inputs and states of single steps, by name.
        most: Largest number of samples to run; more are subsampled evenly.
    """
    signature = read_signature(content)
    interpreter = make_interpreter(content, preserve_all_tensors=True, xnnpack=False)
    inputs = [detail["index"] for detail in interpreter.get_input_details()]
    dtypes = {d["index"]: d["dtype"] for d in interpreter.get_tensor_details()}
    tensors = [index for index, dtype in dtypes.items() if dtype in (np.int8, np.int16)]
    limits = {index: np.iinfo(dtypes[index]) for index in tensors}
    observed = {index: (int(limits[index].max), int(limits[index].min)) for index in tensors}
    for sample in samples[:: -(-len(samples) // most)]:
        for index, tensor in zip(inputs, signature.inputs, strict=True):
            interpreter.set_tensor(index, tensor.quantize(sample[tensor.name]))
        interpreter.invoke()
        for index in tensors:
            values, (least, greatest) = interpreter.get_tensor(index), observed[index]
            observed[index] = (min(least, int(values.min())), max(greatest, int(values.max())))
    return observed
