"""Programs: loops with number formats, as C and NumPy run them."""
