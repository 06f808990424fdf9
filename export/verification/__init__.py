"""Verification of a .tflite file against the Keras model on each runtime, and its report."""
