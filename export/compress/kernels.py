"""The weights of a model that are compressed: its kernels."""

import re
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from export.forms.rnn_layers import cells_of, is_rnn

# Variable names of weights that multiply inputs or states, in Keras and in `lnn_keras`. Biases,
# time constants, reversal potentials and slopes are few and must not become zero.
KERNEL_NAME = re.compile(r"(^|_)(kernel|weight)(_\d+)?$")


@dataclass(frozen=True, eq=False)
class Kernel:
    """A variable to compress.

    Attributes:
        variable: The Keras variable.
        live: Mask of the variable's shape: 1 for a weight, 0 where the wiring has no synapse.
    """

    variable: Any
    live: np.ndarray

    @property
    def live_share(self) -> float:
        """Share of the variable's elements that are weights."""
        return float(self.live.mean())


def kernels_of(model: keras.Model) -> tuple[Kernel, ...]:
    """Return the trainable kernels of a built model, each once.

    Raises:
        ValueError: The model is not built or has no kernel, or the backend is not TensorFlow.
    """
    require_tensorflow()
    if not isinstance(model, keras.Model) or not model.built:
        named = getattr(model, "name", type(model).__name__)
        raise ValueError(f"`model` must be a built keras.Model; {named!r} is not built.")
    masks = {
        id(cell.kernel): cell.mask
        for layer in model.layers
        if is_rnn(layer)
        for cell in cells_of(layer.cell)
        if hasattr(cell, "mask")
    }
    kernels = tuple(
        Kernel(variable, np.asarray(masks.get(id(variable), np.ones(variable.shape)), "float32"))
        for variable in model.trainable_variables
        if KERNEL_NAME.search(variable.name)
    )
    if not kernels:
        raise ValueError(f"Model {model.name!r} has no trainable kernel to compress.")
    return kernels


def require_tensorflow() -> None:
    """Raise a ValueError if the Keras backend is not TensorFlow, which TFMOT needs."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Compression needs the TensorFlow backend of Keras; received "
            f"{keras.backend.backend()!r}. Load the saved model under KERAS_BACKEND=tensorflow."
        )
