"""Types of the arrays that models are trained on, and of tensors."""

from typing import Any

import numpy as np

NamedInputs = dict[str, np.ndarray]
# One array (sequences, time, ...), or several by the names of the model's inputs.
Inputs = np.ndarray | NamedInputs
# Inputs and targets.
Arrays = tuple[Inputs, np.ndarray]
# A tensor of Keras's backend, or a symbolic one; the class depends on the backend.
Tensor = Any
