"""The .tflite file: reading, rewriting, layout and cost."""
