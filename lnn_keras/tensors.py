"""The type of tensors, Keras's operations typed by it, and the values of a tensor if it has any."""

from typing import Any

import keras
import numpy as np

# A tensor of the backend that Keras runs on, a symbolic tensor or a NumPy array. Backends share
# no type.
Tensor = Any

# Keras annotates no operation. Type checkers infer unions over all backends, which fit none.
ops: Any = keras.ops


def concrete_values(tensor: Any) -> np.ndarray | None:
    """The values of a tensor or number as an array, or None while the tensor is being traced."""
    if isinstance(tensor, keras.KerasTensor):
        return None
    if not hasattr(tensor, "shape"):
        return np.asarray(tensor)
    try:
        return np.asarray(keras.ops.convert_to_numpy(tensor))
    # TensorFlow and torch raise NotImplementedError for a traced tensor, JAX raises a TypeError.
    except (NotImplementedError, TypeError):
        return None
