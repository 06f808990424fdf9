"""Which weights of a model are worth compressing: its kernels, and no others."""

import re
from dataclasses import dataclass

import keras
import numpy as np

from export.forms.rnn_layers import cells_of, is_rnn

# Last parts of the names of what multiplies inputs or states, in Keras and in `lnn_keras`. A
# bias, a time constant, a reversal or a slope is no kernel: few numbers, and none may be zero.
KERNEL_NAME = re.compile(r"(^|_)(kernel|weight)(_\d+)?$")


@dataclass(frozen=True, eq=False)
class Kernel:
    """A variable worth compressing.

    Attributes:
        variable: The Keras variable.
        live: 1 where there is a weight, 0 where the wiring has no synapse; its shape.
    """

    variable: keras.Variable
    live: np.ndarray

    @property
    def live_share(self) -> float:
        """Share of the numbers that are weights."""
        return float(self.live.mean())


def kernels_of(model: keras.Model) -> tuple[Kernel, ...]:
    """The trainable kernels of a built model, each once.

    Raises:
        ValueError: The model is not built, has no kernel, or Keras does not run on TensorFlow.
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
    found = tuple(
        Kernel(variable, np.asarray(masks.get(id(variable), np.ones(variable.shape)), "float32"))
        for variable in model.trainable_variables
        if KERNEL_NAME.search(variable.name)
    )
    if not found:
        raise ValueError(f"Model {model.name!r} has no trainable kernel to compress.")
    return found


def require_tensorflow() -> None:
    """Raise a ValueError if Keras does not run on TensorFlow, which TFMOT needs."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Compression needs the TensorFlow backend of Keras; received "
            f"{keras.backend.backend()!r}. Load the saved model under KERAS_BACKEND=tensorflow."
        )
