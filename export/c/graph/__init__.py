"""The step of a model as a graph of vectors, and the loops that compute it."""
