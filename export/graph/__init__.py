"""TensorFlow graphs: kernel check, folding, weight rounding and op substitution."""
