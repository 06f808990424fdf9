"""Names, units and measured quantities of the summaries of vital signs, for their readers."""

import functools
from collections.abc import Callable

import numpy as np

from zoo.biosignals.vitals import CHANNELS, DECAY_HOURS, FEATURE_NAMES, SUMMARIES, Channel

_NAMES = {
    "last": "last value",
    "first": "first value",
    "least": "lowest value",
    "most": "highest value",
    "mean": "mean",
    "recent mean": "recent mean",
    "change": "change since the first value",
    "fresh": "time since the last value",
    "count": "number of values",
}
_UNITS = {
    **dict.fromkeys(("ALP", "ALT", "AST"), "IU/l"),
    **dict.fromkeys(("Bilirubin", "BUN", "Cholesterol", "Creatinine", "Glucose"), "mg/dl"),
    **dict.fromkeys(("HCO3", "K", "Lactate", "Mg", "Na"), "mmol/l"),
    **dict.fromkeys(("PaCO2", "PaO2"), "mmHg"),
    **dict.fromkeys(("systolic", "diastolic", "mean pressure", "pulse pressure"), "mmHg"),
    **dict.fromkeys(("TroponinI", "TroponinT"), "µg/l"),
    **dict.fromkeys(("Platelets", "WBC"), "cells/nl"),
    **{"Albumin": "g/dl", "HCT": "%", "SaO2": "%", "HR": "bpm", "RespRate": "per min"},
    **{"Temp": "°C", "Weight": "kg"},
}
_SUMMARIZED = [(channel, summary) for channel in CHANNELS for summary in SUMMARIES]


def names() -> tuple[str, ...]:
    """The names of the columns of `zoo.biosignals.vitals.features`."""
    known = [f"{channel}: {_NAMES[summary]}" for channel, summary in _SUMMARIZED]
    return (*known, *FEATURE_NAMES[len(known) :])


def units() -> dict[str, str]:
    """The units of their measured quantities by name; those without one are left out."""
    found = {"age": "years", "age above 75": "years", "height": "cm", "hours since admission": "h"}
    for name, (channel, summary) in zip(names(), _SUMMARIZED, strict=False):
        unit = _UNITS.get(channel, "")
        if summary == "change" and CHANNELS[channel].logarithmic:
            unit = "times the first"
        unit = {"fresh": "h", "count": ""}.get(summary, unit)
        if unit:
            found[name] = unit
    return found


def measured() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Functions from the values of a column to the quantity that was measured, by name."""
    found: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        name: functools.partial(_quantity, CHANNELS[channel], summary)
        for name, (channel, summary) in zip(names(), _SUMMARIZED, strict=False)
    }
    found["age"] = lambda values: 17 * values + 65
    found["age above 75"] = lambda values: 10 * values
    found["height"] = lambda values: 10 * values + 170
    found["hours since admission"] = lambda values: 48 * values
    return found


def _quantity(channel: Channel, summary: str, values: np.ndarray) -> np.ndarray:
    """Summaries of a channel in its unit; NaN for the time since a value that there is not."""
    values = np.asarray(values, "float64")
    if summary == "count":
        return np.expm1(values)
    if summary == "fresh":
        with np.errstate(divide="ignore"):
            return np.where(values > 0, -DECAY_HOURS * np.log(values), np.nan)
    change = channel.spread * values
    if summary == "change":
        return np.exp(change) if channel.logarithmic else change
    return channel.typical * np.exp(change) if channel.logarithmic else channel.typical + change
