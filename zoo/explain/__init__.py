"""`lnn explain`: one page about a prediction of a model."""
