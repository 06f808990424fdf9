"""Look into models: states, gates, time constants and currents of their recurrent layers."""

from lnn_keras.inspect.recording import LayerRecording, Recording, record

__all__ = ["LayerRecording", "Recording", "record"]
