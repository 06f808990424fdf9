"""TFLite files: read, refined and described."""
