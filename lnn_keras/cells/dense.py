"""DenseCell: dense kernels and dropout with the options of Keras's own recurrent cells."""

from typing import Any

import keras

from lnn_keras.argument_checks import require_fraction
from lnn_keras.cells.continuous_time import ContinuousTimeCell
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Constraint, Initializer, Regularizer


class DenseCell(ContinuousTimeCell):
    """Base class of cells with dense kernels and dropout. It takes its options as keywords.

    Subclasses pass the arguments of the next base class through it.

    Args:
        *args: Positional arguments of the next base class.
        use_bias: Whether the products have a bias.
        kernel_initializer: Initializer of the kernels.
        recurrent_initializer: Initializer of the recurrent kernels.
        bias_initializer: Initializer of the biases.
        kernel_regularizer: Regularizer of the kernels.
        recurrent_regularizer: Regularizer of the recurrent kernels.
        bias_regularizer: Regularizer of the biases.
        kernel_constraint: Constraint of the kernels.
        recurrent_constraint: Constraint of the recurrent kernels.
        bias_constraint: Constraint of the biases.
        dropout: Fraction of the input features to drop, in [0, 1).
        recurrent_dropout: Fraction of the state to drop where it enters a recurrent product,
            in [0, 1).
        seed: Random seed of the dropout masks.
        **kwargs: Keyword arguments of the next base class.

    Raises:
        ValueError: A dropout rate is not in [0, 1).
    """

    def __init__(
        self,
        *args,
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.use_bias = bool(use_bias)
        self.kernel_initializer: Any = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer: Any = keras.initializers.get(recurrent_initializer)
        self.bias_initializer: Any = keras.initializers.get(bias_initializer)
        self.kernel_regularizer: Any = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer: Any = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer: Any = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint: Any = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint: Any = keras.constraints.get(recurrent_constraint)
        self.bias_constraint: Any = keras.constraints.get(bias_constraint)
        self.dropout = require_fraction("dropout", dropout)
        self.recurrent_dropout = require_fraction("recurrent_dropout", recurrent_dropout)
        self.seed = seed
        # The state of a generator is a variable, which cells without dropout do not need.
        if self.dropout or self.recurrent_dropout:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def add_kernel(
        self, name: str, rows: int, columns: int, initializer: Initializer | None = None
    ) -> keras.Variable:
        """Add a kernel (rows, columns); with its own initializer, or else the cell's."""
        return self.add_weight(
            name=name,
            shape=(rows, columns),
            initializer=self.kernel_initializer if initializer is None else initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def add_recurrent_kernel(
        self, name: str, rows: int, columns: int, initializer: Initializer | None = None
    ) -> keras.Variable:
        """Add a recurrent kernel (rows, columns); with its own initializer, or else the cell's."""
        return self.add_weight(
            name=name,
            shape=(rows, columns),
            initializer=self.recurrent_initializer if initializer is None else initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )

    def add_bias(self, name: str, size: int, initializer: Initializer | None = None) -> Any:
        """Add a bias (size,), with its own initializer or else the cell's, if there are biases."""
        if not self.use_bias:
            return None
        return self.add_weight(
            name=name,
            shape=(size,),
            initializer=self.bias_initializer if initializer is None else initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": keras.regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "recurrent_constraint": keras.constraints.serialize(self.recurrent_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }


def dense(inputs: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """inputs kernel + bias, without the sum if there is no bias."""
    product = ops.matmul(inputs, kernel)
    return product if bias is None else product + bias
