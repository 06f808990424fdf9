"""Adaptation of presets while they run, measured on streams of public data."""
