"""The data of the playground: the signal, the answers of Keras, sliders and names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from lnn_keras.elapsed import LAST_FEATURE
from zoo.explain.playground.changes import Feature
from zoo.explain.playground.embedding import float32
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
    if subject.elapsed == LAST_FEATURE:
        name = next(iter(subject.inputs))
        return name, int(np.prod(subject.inputs[name].shape[2:])) - 1
    return subject.elapsed, 0


def features_of(subject: Subject, rows: Mapping[str, np.ndarray]) -> list[Feature]:
    """All features that the page can change, which are all numbers but the elapsed times.

    Raises:
        ValueError: There are none.
    """
    elapsed = elapsed_column(subject)
    features = [
        _feature(subject, input_name, column, rows[input_name][:, column])
        for input_name in subject.data_inputs
        # Integers are numbers of words or kinds.
        if subject.inputs[input_name].dtype.kind == "f"
        for column in range(rows[input_name].shape[1])
        if (input_name, column) != elapsed
    ]
    if not features:
        raise ValueError("The model reads integers only, which have no gain, offset or noise.")
    if picture_format(rows) is None:
        return features
    # The grey of a pixel may never change; noise of a camera is equal everywhere.
    (pixels,) = rows.values()
    spread = _deviation_and_size(pixels)[0] or 1.0
    return [replace(feature, spread=spread, constant=False) for feature in features]


def _feature(subject: Subject, input_name: str, column: int, values: np.ndarray) -> Feature:
    deviation, size = _deviation_and_size(values)
    constant = deviation <= 1e-6 * size
    return Feature(
        input_name,
        column,
        subject.feature_names[input_name][column],
        spread=(size / 10 or 1.0) if constant else deviation,
        constant=constant,
        unit=subject.units[input_name][column],
    )


def _deviation_and_size(values: np.ndarray) -> tuple[float, float]:
    """Standard deviation and largest absolute value of the values that are known."""
    known = values[np.isfinite(values)].astype("float64")
    return (float(known.std()), float(np.abs(known).max())) if len(known) else (0.0, 0.0)


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
    batches = {name: values if several else values[None] for name, values in rows.items()}
    outputs = subject.predict(
        {name: _as_input(values, subject.inputs[name]) for name, values in batches.items()}
    )
    outputs = outputs.reshape(len(outputs), -1, outputs.shape[-1])
    return outputs if several else outputs[0]


def _as_input(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Rows (sequences, time, columns) in the shape and type of an input."""
    return values.reshape(*values.shape[:2], *own.shape[2:]).astype(own.dtype)


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


def picture_format(rows: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
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


def step_in_words(subject: Subject) -> str:
    """The name of a step with its length, if all are of one length."""
    labels = subject.labels
    if not labels.time_unit or labels.interval is None or subject.elapsed is not None:
        return labels.step
    return f"{labels.step} ({labels.interval:g} {labels.time_unit} each)"


def first_signal(features: Sequence[Feature], rows: Mapping[str, np.ndarray]) -> int:
    """Index of the feature that the page shows first: the one with the most different values."""
    counts = [len(np.unique(rows[f.input][:, f.column])) for f in features]
    return int(np.argmax(counts))


def shown_number(subject: Subject, outputs: np.ndarray) -> int:
    """Index of the number that the page shows first.

    Args:
        subject: The prediction.
        outputs: The outputs of the model at the explained step.
    """
    if subject.answer.kind == "classes":
        return int(outputs.argmax())
    return subject.answer.explained
