"""Models that keep learning while they run, from the targets of a stream or from its inputs."""

from lnn_keras.adapt.adaptive_model import AdaptiveModel, adaptive_model, principal_components
from lnn_keras.adapt.least_mean_squares import LeastMeanSquares
from lnn_keras.adapt.online_dynamics import OnlineDynamics
from lnn_keras.adapt.online_state import OnlineState
from lnn_keras.adapt.readout import Readout, readout
from lnn_keras.adapt.readout_cell import AdaptiveReadoutCell
from lnn_keras.adapt.recursive_least_squares import RecursiveLeastSquares
from lnn_keras.adapt.running_normalization import RunningNormalization
from lnn_keras.adapt.running_normalization_cell import RunningNormalizationCell

__all__ = [
    "AdaptiveModel",
    "AdaptiveReadoutCell",
    "LeastMeanSquares",
    "OnlineDynamics",
    "OnlineState",
    "Readout",
    "RecursiveLeastSquares",
    "RunningNormalization",
    "RunningNormalizationCell",
    "adaptive_model",
    "principal_components",
    "readout",
]
