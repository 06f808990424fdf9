"""Which source files a target gets."""

from export.source import micro, phone
from export.source.device_file import DeviceFile
from lnn_keras.argument_checks import require_choice

FORMS = {"micro": micro.source_files, "phone": phone.source_files}


def source_files(target: str, file: DeviceFile) -> dict[str, str]:
    """Return name -> text of the source files that a target gets beside model.tflite.

    Args:
        target: "micro" (C++ for TensorFlow Lite Micro) or "phone" (Kotlin and Swift).
        file: The .tflite file and what is known of it.

    Raises:
        ValueError: Unknown target; for "micro", no recording, or an operation that
            TensorFlow Lite Micro has no method to register.
    """
    return FORMS[require_choice("target", target, FORMS)](file)
