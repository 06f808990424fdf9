"""from_ncps: convert layers and models of the ncps package."""

from lnn_keras.migration.models import from_ncps

__all__ = ["from_ncps"]
