"""What the field says of liquid networks, measured beside stock recurrent layers."""
