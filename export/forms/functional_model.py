"""The graph of Sequential and Functional models."""

from typing import Any

import keras


def functional_graph(model: Any) -> keras.Model:
    """Return a Functional model that has the graph of a built Sequential or Functional model.

    Raises:
        ValueError: The model is not built, or is subclassed.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model; received {type(model).__name__}.")
    if isinstance(model, keras.Sequential) and (not model.built or not model.inputs):
        raise ValueError(
            f"Model {model.name!r} is not built; call it on data, or add keras.Input, first."
        )
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"Model {model.name!r} ({type(model).__name__}) is subclassed, so its layers' order is "
            "unknown; only Sequential and Functional models can be exported. Rebuild it as "
            "keras.Model(inputs, outputs)."
        )
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model
