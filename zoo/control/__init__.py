"""Control: models of moving bodies."""
