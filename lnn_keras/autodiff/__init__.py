"""Gradients of functions, and methods of layers as pure functions."""
