"""Training runs over seeds and hyperparameters, on one machine or several."""
