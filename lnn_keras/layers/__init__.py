"""Layers that apply cells and other layers to sequences."""
