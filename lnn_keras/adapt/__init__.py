"""Models that keep learning while they run."""

from lnn_keras.adapt.online_dynamics import OnlineDynamics
from lnn_keras.adapt.online_state import OnlineState

__all__ = ["OnlineDynamics", "OnlineState"]
