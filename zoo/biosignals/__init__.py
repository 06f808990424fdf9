"""Biosignals: models of heartbeats and of stays in intensive care."""
