"""Look into models: states, gates, time constants and currents of their recurrent layers."""

from lnn_keras.inspect.dynamics import lyapunov_exponents, time_scales
from lnn_keras.inspect.jacobians import jacobians
from lnn_keras.inspect.knock_outs import knock_out
from lnn_keras.inspect.recording import LayerRecording, Recording, record

__all__ = [
    "LayerRecording",
    "Recording",
    "jacobians",
    "knock_out",
    "lyapunov_exponents",
    "record",
    "time_scales",
]
