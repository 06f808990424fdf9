"""Presets that read signals of the body."""
