"""Features of heartbeats relative to earlier beats of the same patient.

Each beat is compared with a template, a running mean of the patient's beats. Beats that differ from
the template change it only a little:

    template += 0.1 max(r, 0.05)^2 (beat - template)      r: correlation of their QRS complexes

The RR intervals before and after a beat are compared with earlier RR intervals. The features of a
beat depend on the signal until 0.5 s after its R peak and on the time of the next R peak. Where the
next beat is nearer than 0.5 s, they include a part of it.
"""

from typing import Any

import numpy as np

from zoo.extras import extra

HERTZ = 120
DECIMATION = 3
BEFORE, AFTER = 48, 60
# Slices of the window at 120 Hz: P from 0.3 s to 0.075 s before the peak, T until 0.45 s after it.
WAVES = {"P": slice(12, 39), "QRS": slice(39, 61), "T": slice(61, 102)}
RECENT = 12
_OF_WAVE = (
    "shape against the usual one",
    "shape against the beat before",
    "difference from the usual one",
    "energy",
    "energy against the usual one",
)
_REFERENCES = (
    "long mean",
    "recent mean",
    "mean of minutes",
    "median of 12",
    "second longest of 12",
)
# The columns of `features`; RR is the interval between two R peaks.
FEATURE_NAMES = (
    *(f"{wave} wave: {name}" for wave in WAVES for name in _OF_WAVE),
    *("width of QRS", "width of QRS against the usual one"),
    *("height of the R peak", "height of the R peak against the usual one"),
    *("range of QRS against the usual one", "highest value of QRS", "lowest value of QRS"),
    *(f"RR {side} / {name}" for name in _REFERENCES for side in ("before", "after")),
    *("RR before / RR of the beat before", "RR after / RR before", "irregularity of recent RR"),
)
FEATURES = len(FEATURE_NAMES)


def features(signal: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Features of the shape and the RR intervals of each beat: float32 (beats, 35).

    Args:
        signal: One lead in millivolts at 360 Hz: (samples,).
        peaks: Increasing sample indices of the R peaks.

    Raises:
        ValueError: There are fewer than two beats.
    """
    if len(peaks) < 2:
        raise ValueError(f"At least 2 beats are needed; received {len(peaks)}.")
    shape = _shape(_windows(signal, peaks))
    rhythm = _rhythm(np.asarray(peaks) / (HERTZ * DECIMATION))
    return np.concatenate([shape, rhythm], axis=1).astype("float32")


def _windows(signal: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Windows of the beats: 0.5 to 40 Hz, median subtracted, divided by the mean beat height."""
    with extra("zoo"):
        from scipy.signal import butter, sosfilt

    band = butter(2, [0.5, 40], "bandpass", fs=HERTZ * DECIMATION, output="sos")
    filtered = np.pad(np.asarray(sosfilt(band, signal))[::DECIMATION], (BEFORE, AFTER), mode="edge")
    starts = np.round(np.asarray(peaks) / DECIMATION).astype(int)
    windows = filtered[starts[:, None] + np.arange(BEFORE + AFTER)]
    windows = windows - np.median(windows, axis=1, keepdims=True)
    return windows / (_running_mean(np.ptp(windows, axis=1), 0.02)[:, None] + 0.1)


def _shape(beats: np.ndarray) -> np.ndarray:
    templates, previous = _templates(beats), np.concatenate([beats[:1], beats[:-1]])
    columns = []
    for wave in WAVES.values():
        beat, template, last = (_centred(x[:, wave]) for x in (beats, templates, previous))
        energy = _log_energy(beat)
        columns += [
            _correlation(beat, template),
            _correlation(beat, last),
            _log_energy(beats[:, wave] - templates[:, wave]),
            energy,
            energy - _log_energy(template),
        ]
    width, qrs = _width(beats), beats[:, WAVES["QRS"]]
    columns += [
        width,
        width - _width(templates),
        beats[:, BEFORE],
        beats[:, BEFORE] - templates[:, BEFORE],
        np.ptp(qrs, axis=1) - np.ptp(templates[:, WAVES["QRS"]], axis=1),
        qrs.max(axis=1),
        qrs.min(axis=1),
    ]
    return np.stack(columns, axis=1)


def _rhythm(times: np.ndarray) -> np.ndarray:
    """Logarithms of the RR intervals before and after a beat, relative to earlier intervals."""
    interval = np.clip(np.diff(times, prepend=times[0] - 0.8), 0.2, 3)
    following = np.append(interval[1:], interval[-1])
    log_interval, log_following = np.log(interval), np.log(following)
    padded = np.concatenate([np.full(RECENT, interval[0]), interval[:-1]])
    recent = np.lib.stride_tricks.sliding_window_view(padded, RECENT)
    references = [
        _running_mean(log_interval, 0.003),
        np.log(_running_mean(interval, 0.1)),
        np.log(_running_mean(interval, 0.003)),
        np.log(np.median(recent, axis=1)),
        # The second longest interval, which a single pause does not change.
        np.log(np.sort(recent, axis=1)[:, -2]),
    ]
    columns = [x - reference for reference in references for x in (log_interval, log_following)]
    previous = np.concatenate([log_interval[:1], log_interval[:-1]])
    irregularity = np.abs(np.diff(np.log(recent), axis=1)).mean(axis=1)
    columns += [log_interval - previous, log_following - log_interval, np.log(irregularity + 0.01)]
    return np.stack(columns, axis=1)


def _templates(beats: np.ndarray) -> np.ndarray:
    """The template for each beat, from the previous beats."""
    around, template = slice(BEFORE - 14, BEFORE + 20), beats[0]
    templates = np.empty_like(beats)
    for i, beat in enumerate(beats):
        templates[i] = template
        correlation = max(_correlation(beat[around], template[around]), 0.05)
        template = template + 0.1 * correlation**2 * (beat - template)
    return templates


def _running_mean(values: np.ndarray, rate: float) -> np.ndarray:
    """Exponential mean of the previous values; at the start, their arithmetic mean."""
    means, mean = np.empty(len(values)), values[0]
    for i, value in enumerate(values):
        means[i] = mean
        mean = mean + max(rate, 1 / (i + 2)) * (value - mean)
    return means


def _width(beats: np.ndarray) -> np.ndarray:
    """Fraction of the QRS window that contains the middle 80 % of its total variation."""
    steps = np.abs(np.diff(beats[:, BEFORE - 18 : BEFORE + 25], axis=1))
    share = np.cumsum(steps, axis=1) / (steps.sum(axis=1, keepdims=True) + 1e-6)
    return ((share < 0.9).sum(axis=1) - (share < 0.1).sum(axis=1)) / steps.shape[1]


def _centred(windows: np.ndarray) -> np.ndarray:
    return windows - windows.mean(axis=1, keepdims=True)


def _log_energy(windows: np.ndarray) -> np.ndarray:
    return np.log((windows**2).mean(axis=1) + 1e-3)


def _correlation(a: np.ndarray, b: np.ndarray) -> Any:
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1) + 1e-3)
