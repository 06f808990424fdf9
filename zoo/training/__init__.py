"""The training loop, its metrics, and training over several devices."""
