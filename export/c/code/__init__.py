"""The text of C files."""
