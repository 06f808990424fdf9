"""Stress: many hostile inputs, kills and crowds, with fixed seeds; `python -m tests.stress`."""
