"""Source code that runs a .tflite file on a device: C++, Kotlin and Swift."""

from export.source.device_file import DeviceFile
from export.source.files import source_files
from export.source.readout import readout_files
from export.source.recording import RECORDED_STEPS, Recording, record
from export.source.whole_sequences import sequence_files

__all__ = [
    "RECORDED_STEPS",
    "DeviceFile",
    "Recording",
    "readout_files",
    "record",
    "sequence_files",
    "source_files",
]
