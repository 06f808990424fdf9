"""Tables of the user: models that are fitted to them, and predictions for them."""
