"""Runs over seeds and sizes, on one machine or several."""
