"""`lnn explain`: a page about one prediction of a model."""
