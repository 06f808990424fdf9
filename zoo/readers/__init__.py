"""Readers of files from strangers: one for each format, with one error that names the cause."""
