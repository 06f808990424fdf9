"""The type of tensors, and Keras's operations typed by it."""

from typing import Any

import keras

# A tensor of the backend that Keras runs on, a symbolic tensor or a NumPy array. Backends share
# no type.
Tensor = Any

# Keras annotates no operation. Type checkers infer unions over all backends, which fit none.
ops: Any = keras.ops
