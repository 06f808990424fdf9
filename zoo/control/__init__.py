"""Control: models of simulated robots."""
