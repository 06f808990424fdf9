"""Explanations of single predictions, as pages for people who know the field, not the model."""
