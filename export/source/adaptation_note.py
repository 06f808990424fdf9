"""The part of README.md that explains how a model learns on the device."""

from export.source.device_file import DeviceFile
from export.source.literals import comment
from export.source.templates import fill

DELAYS = {
    0: "They belong to the inputs of the same step, and are learned after its prediction.",
    1: "They belong to the outputs of the step before (`delay` is 1).",
}


def adaptation_note(file: DeviceFile, is_cpp: bool) -> str:
    """Return a section on targets, their delay and the learned states, or "" if it learns none.

    Args:
        file: The .tflite file and its facts.
        is_cpp: Whether the section names the methods of C++, or those of Kotlin and Swift.
    """
    targets = [tensor.name for tensor in file.tensors("input") if tensor.may_be_missing]
    if not targets or file.delay is None:
        return ""
    later = f"They belong to the outputs of {file.delay} steps before (`delay` is {file.delay})."
    delay = DELAYS.get(file.delay, later)
    restart, reset = ("Restart", "Reset") if is_cpp else ("restart", "reset")
    return fill(
        "adaptation.md.in", target=comment(targets[0]), delay=delay, restart=restart, reset=reset
    )
