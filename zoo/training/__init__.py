"""The training loop, its metrics, its checkpoints, and data-parallel training."""
