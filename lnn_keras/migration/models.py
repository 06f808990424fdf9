"""from_ncps: layers and whole models with the layers of ncps replaced."""

import tempfile
from typing import Any

import keras

from lnn_keras.compat import parts_of
from lnn_keras.layers.liquid_rnn import RNN_OPTIONS, LiquidRNN
from lnn_keras.migration.cells import convert_cell, is_ncps, require_exact_dtype


def from_ncps(layer: Any) -> Any:
    """Convert a built Keras layer or model of ncps 1.0.1, with the same outputs.

    Every layer of `ncps.keras` becomes a `LiquidRNN` with the same weights, name, options and
    states. Within a model, all other layers are copied with their weights, and the graph, the
    names and the compilation stay. Initializers are not converted.

    Args:
        layer: `ncps.keras.LTC` or `ncps.keras.CfC` (with or without wiring and mixed memory);
            `keras.layers.RNN` with cells of `ncps.keras`; `Bidirectional` or `TimeDistributed`
            around these; a cell of `ncps.keras`; or a Sequential or Functional model that contains
            them, also within other such models. It must have been built, so that its weights
            exist.

    Returns:
        A `LiquidRNN` for a layer of ncps, a cell for a cell; a layer or model of the same kind as
        `layer` for everything else. Of weights on a wiring it has those of existing synapses.

    Raises:
        ValueError: The layer is not built, contains no layer of ncps, or has a part or an
            argument that cannot be carried over; the message names it.

    Example:

    ```
    layer = ncps.keras.LTC(ncps.wirings.AutoNCP(32, 4))
    model = keras.Sequential([keras.Input((None, 8)), layer, keras.layers.Dense(1)])
    converted = lnn_keras.from_ncps(model)
    ```
    """
    if not isinstance(layer, keras.layers.Layer) or not _holds_ncps(layer):
        raise ValueError(
            "`layer` must be a layer of ncps.keras (LTC, CfC) or contain one; received "
            f"{type(layer).__module__}.{type(layer).__name__}."
        )
    migration = _Migration()
    converted = migration.convert(layer)
    migration.finish()
    return converted


class _Migration:
    """One conversion: a layer or cell that occurs several times is converted once."""

    def __init__(self):
        self._converted = {}
        # Layers whose variables are copied at the end, when all layers are built.
        self._copied = []
        self._replaced = []

    def convert(self, layer: Any) -> Any:
        """The converted layer of a layer or model, or the operation itself."""
        if id(layer) not in self._converted:
            self._converted[id(layer)] = self._convert(layer)
        return self._converted[id(layer)]

    def finish(self) -> None:
        """Build what no model has called, then copy variables, assets and states."""
        for source, target in self._replaced:
            if source.built and not target.built:
                target.build_from_config(source.get_build_config())
        for source, target in self._copied:
            _copy_variables(source, target)
        for source, target in self._replaced:
            _copy_states(source, target)

    def _convert(self, layer):
        # Operations such as `x * 2` have no weights. A Lambda's config does not load safely.
        if not isinstance(layer, keras.layers.Layer) or isinstance(layer, keras.layers.Lambda):
            return layer
        if not _holds_ncps(layer):
            target = type(layer).from_config(layer.get_config())
            self._copied.append((layer, target))
        else:
            target = self._convert_holder(layer)
            # Not if it is trainable: the setter would unfreeze the parts as well.
            if not layer.trainable:
                target.trainable = False
        self._replaced.append((layer, target))
        return target

    def _convert_holder(self, layer):
        if isinstance(layer, keras.layers.RNN):
            return self._convert_rnn(layer)
        if is_ncps(layer):
            return convert_cell(layer)
        if isinstance(layer, keras.layers.StackedRNNCells):
            cells = [self.convert(cell) for cell in layer.cells]
            return keras.layers.StackedRNNCells(cells, name=layer.name)
        if isinstance(layer, keras.layers.Bidirectional):
            return self._convert_bidirectional(layer)
        if isinstance(layer, keras.layers.TimeDistributed):
            inner = self.convert(layer.layer)
            return keras.layers.TimeDistributed(inner, name=layer.name, dtype=layer.dtype_policy)
        if isinstance(layer, keras.Model):
            return self._convert_model(layer)
        raise ValueError(
            f"Layer {layer.name!r} ({type(layer).__name__}) contains layers of ncps in its own "
            "code. Replace them there by `from_ncps(inner_layer)`."
        )

    def _convert_rnn(self, layer):
        if not layer.cell.built:
            raise ValueError(f"Layer {layer.name!r} is not built; call it on data first.")
        require_exact_dtype(layer)
        cell = self.convert(layer.cell)
        options = {name: getattr(layer, name) for name in RNN_OPTIONS}
        if not is_ncps(layer.cell):
            return keras.layers.RNN(cell, name=layer.name, dtype=layer.dtype_policy, **options)
        # CfC of ncps does not pass its dtype to its cell, which computes the outputs.
        return LiquidRNN(cell, name=layer.name, dtype=cell.dtype_policy, **options)

    def _convert_bidirectional(self, layer):
        forward, backward = self.convert(layer.forward_layer), self.convert(layer.backward_layer)
        target = keras.layers.Bidirectional(
            forward,
            merge_mode=layer.merge_mode,
            backward_layer=backward,
            name=layer.name,
            dtype=layer.dtype_policy,
        )
        # Keras takes the backward layer itself and a copy of the forward layer, without weights.
        self._copied.append((forward, target.forward_layer))
        self._replaced.append((layer.forward_layer, target.forward_layer))
        return target

    def _convert_model(self, model):
        if not isinstance(model, keras.Sequential) and not getattr(model, "inputs", None):
            raise ValueError(
                f"Model {model.name!r} ({type(model).__name__}) is subclassed, so its graph is "
                "unknown; allowed: Sequential and Functional models. Convert its layers one by one."
            )
        inputs = None if isinstance(model, keras.Sequential) else _inputs_like(model)
        return keras.models.clone_model(model, input_tensors=inputs, clone_function=self.convert)


def _inputs_like(model):
    """New inputs in the structure and with the names of a Functional model's inputs."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    inputs = {
        id(layer.output): keras.Input(
            batch_shape=layer.batch_shape,
            dtype=layer.dtype,
            sparse=layer.sparse,
            name=layer.name,
            optional=layer.optional,
        )
        for layer in layers
    }
    return keras.tree.map_structure(lambda tensor: inputs[id(tensor)], model.input)


def _holds_ncps(layer):
    return any(is_ncps(part) for part in parts_of(layer))


def _copy_variables(source, target):
    parts = zip(parts_of(source), parts_of(target), strict=True)
    for old, new in parts:
        store = {}
        old.save_own_variables(store)
        if store:
            new.load_own_variables(store)
        if hasattr(old, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                old.save_assets(folder)
                new.load_assets(folder)


def _copy_states(source, target):
    """The states of a stateful layer, which Keras does not count among its variables."""
    states = keras.tree.flatten(getattr(source, "states", None))
    for old, new in zip(states, keras.tree.flatten(getattr(target, "states", None)), strict=True):
        if old is not None:
            new.assign(old)
