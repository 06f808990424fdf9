"""Rewrites of a step's TensorFlow graph: kernel check, folding, GPTQ, op substitution."""
