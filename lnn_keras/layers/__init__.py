"""Layers that apply cells, or other layers, to sequences."""
