"""Gradients on the backend that Keras runs on."""
