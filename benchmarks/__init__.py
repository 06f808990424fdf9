"""Measurements, each run by command: `python -m benchmarks.NAME`."""
