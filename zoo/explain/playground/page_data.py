"""The data of the playground: the signal, the answers of Keras, sliders and names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from zoo.explain.playground.changes import Feature
from zoo.explain.playground.embedding import float32
from zoo.explain.playground.linear_answers import as_matrix
from zoo.explain.playground.sliders import Slider
from zoo.explain.subject import Subject

# Longer lists of numbers of a single answer are a curve.
MOST_NUMBERS_OVER_TIME = 24


def rows_of(subject: Subject) -> dict[str, np.ndarray]:
    """The inputs of the explained sequence by name, each (time, columns)."""
    return {
        name: np.asarray(values[0], "float32").reshape(values.shape[1], -1)
        for name, values in subject.inputs.items()
    }


def elapsed_column(subject: Subject) -> tuple[str, int] | None:
    """The input and the column of elapsed times; None if the model takes none."""
    if subject.elapsed is None:
        return None
    if subject.elapsed == "last_feature":
        name = next(iter(subject.inputs))
        return name, int(np.prod(subject.inputs[name].shape[2:])) - 1
    return subject.elapsed, 0


def features_of(subject: Subject, rows: Mapping[str, np.ndarray]) -> list[Feature]:
    """All features that the page can change, which are all numbers but the elapsed times."""
    elapsed = elapsed_column(subject)
    return [
        Feature(input_name, column, name, unit, spread_of(rows[input_name][:, column]))
        for input_name, names in subject.feature_names.items()
        for column, (name, unit) in enumerate(zip(names, subject.units[input_name], strict=True))
        if (input_name, column) != elapsed
    ]


def spread_of(values: np.ndarray) -> float:
    """The standard deviation of a feature; of a constant one, a tenth of its size, or 1."""
    known = values[np.isfinite(values)].astype("float64")
    if not len(known):
        return 1.0
    deviation = float(known.std())
    size = float(np.abs(known).max())
    return deviation if deviation > 1e-6 * size else size / 10 or 1.0


def predictions(subject: Subject, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """The outputs of the Keras model.

    Args:
        subject: The model.
        rows: Its inputs by name, each (time, columns), or (sequences, time, columns).

    Returns:
        (time, outputs), or (1, outputs) if the model answers once; for several sequences, one of
        these for each.
    """
    several = next(iter(rows.values())).ndim == 3
    shaped = [
        np.reshape(
            values, (*(values.shape[:2] if several else (1, len(values))), *inputs.shape[2:])
        )
        for values, inputs in ((rows[name], inputs) for name, inputs in subject.inputs.items())
    ]
    outputs = keras_predict(subject.model, shaped)
    outputs = outputs.reshape(len(outputs), -1, outputs.shape[-1])
    return outputs if several else outputs[0]


def keras_predict(model: Any, inputs: list[np.ndarray]) -> np.ndarray:
    """The first output of a model, as one batch."""
    packed: Any = inputs[0] if len(inputs) == 1 else inputs
    if isinstance(getattr(model, "input", None), dict):
        packed = dict(zip(model.input, inputs, strict=True))
    outputs = model.predict_on_batch(packed)
    while isinstance(outputs, dict | list | tuple):
        outputs = next(iter(outputs.values() if isinstance(outputs, dict) else outputs))
    return np.asarray(outputs)


def answer_format(subject: Subject, outputs: int) -> dict[str, Any]:
    """Names, units and the way from the model's outputs to real units, for `page/answers.js`."""
    answer = subject.answer
    linear = as_matrix(answer.to_real, outputs)
    if linear is None:
        names, units = [f"output {index + 1}" for index in range(outputs)], [""] * outputs
        linear = np.eye(outputs), np.zeros(outputs)
    else:
        names, units = list(answer.names), list(answer.units)
    return {
        "kind": answer.kind,
        "names": names,
        "units": units,
        "matrix": float32(linear[0]),
        "offset": float32(linear[1]),
        "outputs": outputs,
    }


def json_data(
    rows: Mapping[str, np.ndarray],
    features: Sequence[Feature],
    elapsed: tuple[str, int] | None,
    sliders: Sequence[Slider],
) -> dict[str, Any]:
    """The signal and the sliders, as `page/playground.js` takes them."""
    names = list(rows)
    return {
        "inputs": [
            {"name": name, "columns": values.shape[1], "values": float32(values)}
            for name, values in rows.items()
        ],
        "length": len(next(iter(rows.values()))),
        "features": [{**asdict(f), "input": names.index(f.input)} for f in features],
        "elapsed": elapsed and {"input": names.index(elapsed[0]), "column": elapsed[1]},
        "sliders": [asdict(slider) | {"start": slider.start} for slider in sliders],
    }


def picture_format(subject: Subject, rows: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """Size and greys of the pictures of a sequence, for `page/picture.js`; None without pictures.

    A model with one input of square rows of hundreds of values reads pictures.
    """
    if len(rows) != 1:
        return None
    (values,) = rows.values()
    side = int(np.sqrt(values.shape[1]))
    if side < 16 or side * side != values.shape[1]:
        return None
    return {"input": 0, "width": side, "height": side, "low": 0.0, "high": 1.0}
