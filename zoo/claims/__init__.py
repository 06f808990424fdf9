"""The claims about liquid networks, measured against stock recurrent layers."""
