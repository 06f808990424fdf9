"""The source files of each target."""

from export.source import micro, phone
from export.source.device_file import DeviceFile
from lnn_keras.argument_checks import require_choice

GENERATORS = {"micro": micro.source_files, "phone": phone.source_files}


def source_files(target: str, file: DeviceFile) -> dict[str, str]:
    """Return the source files that accompany model.tflite: text by file name.

    Args:
        target: "micro" (C++ for TensorFlow Lite Micro) or "phone" (Kotlin and Swift).
        file: The .tflite file and its facts.

    Raises:
        ValueError: Unknown target; for "micro", no recording, or an operation that
            TensorFlow Lite Micro cannot register.
    """
    return GENERATORS[require_choice("target", target, GENERATORS)](file)
