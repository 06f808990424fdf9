"""Runtimes: each runs a file, or Keras's step form, one time step per call."""
