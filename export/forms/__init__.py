"""Keras models rebuilt for export: one time step, or whole sequences without TensorList loops."""
