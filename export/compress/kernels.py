"""The weights of a model that are compressed: the matrices of its forward pass."""

import warnings
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from export.compress.roles import Roles, roles_of
from export.forms.rnn_layers import cells_of, is_rnn
from lnn_keras import LRCCell, LTCCell
from lnn_keras.compat import parts_of

CONDUCTANCES = {LTCCell: ("weight",), LRCCell: ("weight", "update_weight")}


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


# The kernels and the other matrices of a model, which only change with its variables.
_found: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def kernels_of(model: keras.Model) -> tuple[Kernel, ...]:
    """Return the trainable kernels of a built model, each once.

    A kernel is a variable that enters a matrix product or a convolution of the forward pass, or
    the conductances of the synapses of an `LTCCell`. Names have no meaning.

    Raises:
        ValueError: The model is not built or has no kernel, or the backend is not TensorFlow.
    """
    found, others = _classified(model)
    trainable = {id(variable) for variable in model.trainable_variables}
    kernels = tuple(kernel for kernel in found if id(kernel.variable) in trainable)
    if not kernels:
        besides = f" Its matrices are no kernels: {_named(others)}." if others else ""
        raise ValueError(f"Model {model.name!r} has no trainable kernel to compress.{besides}")
    return kernels


def kernel_ids(model: keras.Model) -> set[int]:
    """The `id` of each kernel of a built model, trainable or not."""
    return {id(kernel.variable) for kernel in _classified(model)[0]}


def warn_of_other_matrices(model: keras.Model) -> None:
    """Warn of the matrices of a built model that compression does not reach."""
    kernels, others = _classified(model)
    trainable = {id(variable) for variable in model.trainable_variables}
    frozen = [k.variable for k in kernels if id(k.variable) not in trainable]
    for variables, why in (
        (frozen, "They are not trainable."),
        (others, "No matrix product or convolution takes them as an operand that zeros reach."),
    ):
        if variables:
            warnings.warn(
                "Matrices that compression leaves as they are, and that do not count: "
                f"{_named(variables)}. {why}",
                stacklevel=3,
            )


def kernels_of_cell(cell: Any, input_shape: tuple[int | None, ...]) -> list[keras.Variable]:
    """The trainable kernels of a built RNN cell.

    Args:
        cell: The cell.
        input_shape: Shape of the input of one step, with the batch.
    """
    products, _ = _roles_of_cell(cell, input_shape)
    found = products | {id(variable) for variable in _synapses(cell)}
    return [variable for variable in cell.trainable_variables if id(variable) in found]


def kernels_of_layer(layer: keras.layers.Layer, input_shape: Any) -> list[keras.Variable]:
    """The trainable kernels of a built layer that is not recurrent and takes one tensor."""
    found, _ = _ids(layer, roles_of(layer, layer.variables, [_specs(input_shape)]))
    return [variable for variable in layer.trainable_variables if id(variable) in found]


def require_tensorflow() -> None:
    """Raise a ValueError if the Keras backend is not TensorFlow, which TFMOT needs."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Compression needs the TensorFlow backend of Keras; received "
            f"{keras.backend.backend()!r}. Load the saved model under KERAS_BACKEND=tensorflow."
        )


def _classified(model) -> tuple[tuple[Kernel, ...], list[keras.Variable]]:
    """All kernels of a model, and the matrices that are none."""
    require_tensorflow()
    if not isinstance(model, keras.Model) or not model.built:
        named = getattr(model, "name", type(model).__name__)
        raise ValueError(f"`model` must be a built keras.Model; {named!r} is not built.")
    variables = tuple(id(variable) for variable in model.variables)
    cached, result = _found.get(model, (None, None))
    if cached != variables or result is None:
        result = _classify(model)
        _found[model] = variables, result
    return result


def _classify(model):
    products, others, masks, in_cells = set(), set(), {}, set()
    for layer in parts_of(model):
        shape = _step_shape(layer)
        if shape is None:
            continue
        entering, other = _roles_of_cell(layer.cell, shape)
        products |= entering | {id(variable) for variable in _synapses(layer)}
        others |= other - {id(v) for c in _cells_with_synapses(layer) for v in c.variables}
        in_cells |= {id(variable) for variable in layer.cell.variables}
        masks |= {
            id(cell.kernel): cell.mask for cell in cells_of(layer.cell) if hasattr(cell, "mask")
        }
    if any(id(variable) not in in_cells for variable in model.weights):
        entering, other = _ids(model, roles_of(model, model.variables, _model_specs(model)))
        products |= entering - in_cells
        others |= other - in_cells
    kernels = tuple(
        Kernel(variable, np.asarray(masks.get(id(variable), np.ones(variable.shape)), "float32"))
        for variable in model.weights
        if id(variable) in products
    )
    return kernels, [v for v in model.weights if id(v) in others - products and _is_matrix(v)]


def _ids(layer, roles: Roles) -> tuple[set[int], set[int]]:
    """The `id` of the layer's variables that enter products, and of the others."""
    ids = [id(variable) for variable in layer.variables]
    return {ids[i] for i in roles.products}, {ids[i] for i in roles.others}


def _named(variables):
    return ", ".join(f"{v.path} {tuple(v.shape)}" for v in variables)


def _is_matrix(variable):
    return sum(size > 1 for size in variable.shape) > 1


def _synapses(layer) -> Iterator[keras.Variable]:
    """The conductances of synapses: w s(v), summed by neuron, is a product with the matrix of w.

    The other weights of a synapse are slopes, offsets and potentials, which zeros do not remove.
    """
    for cell in _cells_with_synapses(layer):
        names = next(names for kind, names in CONDUCTANCES.items() if isinstance(cell, kind))
        for synapses in (cell.sensory, cell.recurrent):
            weights = (getattr(synapses, name) for name in names)
            # A wiring can have no synapse.
            yield from (weight for weight in weights if weight.shape[0])


def _cells_with_synapses(layer):
    return [cell for cell in parts_of(layer) if isinstance(cell, tuple(CONDUCTANCES))]


def _step_shape(layer):
    """The shape of a step's input of an RNN layer; None for other layers or if it is unknown."""
    if not is_rnn(layer) or not layer.built or not isinstance(layer.cell, keras.layers.Layer):
        return None
    config = layer.get_build_config() or {}
    shapes = config.get("shapes_dict", {})
    shape = config.get("input_shape", shapes.get("sequences_shape"))
    if shape is None or None in shape[2:]:
        return None
    return (1, *shape[2:])


def _roles_of_cell(cell, input_shape) -> tuple[set[int], set[int]]:
    """The `id` of a cell's variables that enter products in one step, and of the others."""
    import tensorflow as tf

    cell = getattr(cell, "exported", cell)
    with tf.init_scope():
        states = keras.tree.map_structure(
            lambda state: tf.TensorSpec(state.shape, state.dtype), initial_states(cell, 1)
        )
    inputs = tf.TensorSpec((1, *input_shape[1:]), cell.compute_dtype)
    return _ids(cell, roles_of(cell, cell.variables, [inputs, states]))


def initial_states(cell: Any, batch_size: Any) -> Any:
    """The initial states of a cell, which are zeros if it does not define them, as in Keras."""
    if hasattr(cell, "get_initial_state"):
        states = cell.get_initial_state(batch_size=batch_size)
    else:
        sizes = cell.state_size
        sizes = sizes if isinstance(sizes, (list, tuple)) else [sizes]
        states = [keras.ops.zeros((batch_size, size), cell.compute_dtype) for size in sizes]
    return states if keras.tree.is_nested(states) else [states]


def _model_specs(model):
    """The inputs of a model: of its graph, else of its first call."""
    import tensorflow as tf

    if getattr(model, "inputs", None):
        # Sequential models have one input tensor, Functional ones a structure.
        is_sequential = isinstance(model, keras.Sequential)
        inputs = model.inputs[0] if is_sequential else model.input
        return [keras.tree.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), inputs)]
    config = model.get_build_config() or {}
    shapes = config.get("shapes_dict", {"inputs": config.get("input_shape")})
    if None in shapes.values():
        raise ValueError(
            f"The shapes of the inputs of model {model.name!r} ({type(model).__name__}) are "
            "unknown; call it on data, not `build`, before it is compressed."
        )
    return [_specs(shape) for shape in shapes.values()]


def _specs(shape):
    """A shape, or a structure of shapes, as `tf.TensorSpec`."""
    import tensorflow as tf

    if isinstance(shape, dict):
        return {name: _specs(part) for name, part in shape.items()}
    if all(size is None or isinstance(size, int) for size in shape):
        return tf.TensorSpec(shape, keras.config.floatx())
    return [_specs(part) for part in shape]
