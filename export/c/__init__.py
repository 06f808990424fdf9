"""C without an interpreter: a model's step as C99 that needs no library and no heap."""
