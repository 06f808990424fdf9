"""Source code that runs a file on a device."""

from export.source.device_file import DeviceFile
from export.source.files import source_files
from export.source.recording import Recording, record

__all__ = ["DeviceFile", "Recording", "record", "source_files"]
