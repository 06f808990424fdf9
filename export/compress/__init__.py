"""TFMOT on Keras 3: pruning, clustering and quantization-aware training of recurrent models."""

from export.compress.clustering import cluster
from export.compress.pruning import prune, sparsity
from export.compress.quantization import quantize_aware, strip

__all__ = ["cluster", "prune", "quantize_aware", "sparsity", "strip"]
