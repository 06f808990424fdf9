"""Models as C99 without an interpreter."""
