"""Driving: models that are evaluated in closed loop."""
