"""Keras models rebuilt as one time step, or as a whole sequence, for conversion."""
