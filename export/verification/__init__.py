"""An exported file compared with the Keras model, on each runtime, and the report of it."""
