"""Models as integer C source: operations, bytes and instructions of a step, and its time here."""

import ctypes
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.claims.changes import missing
from zoo.claims.tasks import inputs_of
from zoo.claims.training import Trained

if TYPE_CHECKING:
    from export.c.model import CModel

RECIPE, BOARD = "int16x8", "m4"
CALIBRATION_SEQUENCES, SHARE_MISSING, ANY_ERROR = 32, 0.25, 0.999
TIMED_STEPS, WARM_UP = 2000, 200


def measure(trained: Trained) -> dict[str, float]:
    """Export a trained model to C, and measure a step.

    Args:
        trained: The model.

    Returns:
        "multiply_accumulates"; "parameters"; "flash", "ram" and "state" in bytes; "instructions",
        "most_instructions" and "microjoules" of the emulated core; "error" of the outputs against
        Keras, over their deviation; "p50" and "p99" of the time of a step of the compiled source
        on this computer, in microseconds. Without the compilers and the emulator, the numbers that
        need them are missing.
    """
    from export.c.host import compiler
    from export.c.model import read_c_model
    from export.c.profile import profile
    from export.c_pipeline import to_c

    sequences = trained.bench.splits["train"].part(CALIBRATION_SEQUENCES)
    # With gaps, so that elapsed times vary as they do in the changed streams.
    sequences = missing(SHARE_MISSING)(sequences, np.zeros(()))
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "c"
        report = to_c(
            trained.model,
            folder,
            recipe=RECIPE,
            calibration=inputs_of(trained.model, sequences),
            steps=trained.bench.extent.device_steps,
            # Errors are reported, not limited.
            tolerance=ANY_ERROR,
            metric_tolerance=ANY_ERROR,
        )
        source = read_c_model(folder)
        core = profile(folder, BOARD)
    p50, p99 = step_times(source) if compiler() else (None, None)
    values = {
        "multiply_accumulates": report.multiply_accumulates,
        "parameters": report.parameters,
        "flash": core.raw_flash_bytes,
        "ram": core.ram_bytes,
        "state": core.state_bytes,
        "instructions": core.instructions,
        "most_instructions": core.most_instructions,
        "microjoules": core.estimated_microjoules,
        "error": report.results[1].output_error,
        "p50": p50,
        "p99": p99,
    }
    return {name: float(value) for name, value in values.items() if value is not None}


def step_times(source: "CModel") -> tuple[float, float]:
    """The median and the 99th percentile of the time of a step, in microseconds.

    The source is compiled by this computer's compiler and called with inputs of 0.
    """
    from export.c.code.interface import by_value
    from export.c.host import build_library

    library: Any = build_library(source.files)
    step = getattr(library, f"{source.prefix}_step")
    # 4 bytes for each number of the state, whose type may be smaller.
    sizes = [int(np.prod(before.shape)) for before, _ in source.signature.states]
    state = (ctypes.c_int32 * (sum(sizes) + 16))()
    getattr(library, f"{source.prefix}_reset")(state)
    arguments: list[Any] = [state]
    tensors = source.signature.data_inputs
    for tensor in tensors:
        size = int(np.prod(tensor.shape))
        is_value = by_value(size, len(tensors))
        arguments.append(ctypes.c_float(0.0) if is_value else (ctypes.c_float * size)())
    for tensor in source.signature.data_outputs:
        arguments.append((ctypes.c_float * int(np.prod(tensor.shape)))())
    times = np.empty(WARM_UP + TIMED_STEPS)
    for index in range(len(times)):
        start = time.perf_counter_ns()
        step(*arguments)
        times[index] = time.perf_counter_ns() - start
    p50, p99 = np.percentile(times[WARM_UP:], (50, 99)) / 1000
    return float(p50), float(p99)
