"""Keras without optional packages, for test processes: importing it takes half the time.

Import this module before keras. Keras imports scikit-learn and Matplotlib where they are installed,
and TensorFlow on every backend; these processes use none of them (TensorFlow only as a backend).
"""

import importlib.abc
import os
import sys

# Looks for an installed TensorFlow, so it is imported before that is hidden.
import export  # noqa: F401

UNUSED = {"sklearn", "matplotlib"}
if os.environ.get("KERAS_BACKEND") != "tensorflow":
    UNUSED.add("tensorflow")


class Hider(importlib.abc.MetaPathFinder):
    """Makes the import of unused packages fail as if they were not installed."""

    def find_spec(self, name, path, target=None):
        if name in UNUSED:
            raise ModuleNotFoundError(f"{name} is hidden", name=name)


sys.meta_path.insert(0, Hider())

import keras  # noqa: E402, F401

import zoo.experiments.sweep  # noqa: E402
import zoo.hub.store  # noqa: E402, F401
