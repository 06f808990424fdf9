"""Look into models: states, gates, time constants and currents; and which inputs matter."""

from lnn_keras.inspect.dynamics import lyapunov_exponents, time_scales
from lnn_keras.inspect.gradients import gradients
from lnn_keras.inspect.integrated_gradients import integrated_gradients
from lnn_keras.inspect.jacobians import jacobians
from lnn_keras.inspect.knock_outs import knock_out
from lnn_keras.inspect.occlusion import occlusion
from lnn_keras.inspect.recording import LayerRecording, Recording, record
from lnn_keras.inspect.temporal_saliency_rescaling import temporal_saliency_rescaling

__all__ = [
    "LayerRecording",
    "Recording",
    "gradients",
    "integrated_gradients",
    "jacobians",
    "knock_out",
    "lyapunov_exponents",
    "occlusion",
    "record",
    "temporal_saliency_rescaling",
    "time_scales",
]
